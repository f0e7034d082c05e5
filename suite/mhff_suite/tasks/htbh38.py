"""HTBH38: barriers of hydrogen transfer."""

from __future__ import annotations

from functools import partial

from mhff_suite.barriers import COMPUTES, run
from mhff_suite.protocol import Domain, Task
from mhff_suite.reactions import reference
from mhff_suite.references.psi4 import PSI4_LICENCE

TASK = Task(
    name="htbh38",
    title="HTBH38: barriers of hydrogen transfer",
    domain=Domain.REACTIONS,
    reference=reference(
        "W1 and experiment",
        "Y. Zhao, B. J. Lynch, D. G. Truhlar, J. Phys. Chem. A 109, 2012 (2005); "
        "Debian's psi4-data",
        PSI4_LICENCE,
    ),
    computes=COMPUTES,
    run=partial(run, module="HTBH"),
    cost=2.0,
)
