"""NHTBH38: barriers of heavy-atom transfer, substitution, association."""

from __future__ import annotations

from functools import partial

from mhff_suite.barriers import COMPUTES, run
from mhff_suite.protocol import Domain, Task
from mhff_suite.reactions import reference
from mhff_suite.references.psi4 import PSI4_LICENCE

TASK = Task(
    name="nhtbh38",
    title="NHTBH38: barriers without hydrogen transfer",
    domain=Domain.REACTIONS,
    reference=reference(
        "W1",
        "Y. Zhao, N. Gonzalez-Garcia, D. G. Truhlar, J. Phys. Chem. A 109, 2012 (2005); "
        "Debian's psi4-data",
        PSI4_LICENCE,
    ),
    computes=COMPUTES,
    run=partial(run, module="NHTBH"),
    cost=2.0,
)
