"""SSI: interaction energies of 3380 pairs of protein side chains."""

from __future__ import annotations

from mhff_suite.non_covalent import COMPUTES, psi4_run, reference
from mhff_suite.protocol import Domain, Task

TASK = Task(
    name="ssi",
    title="SSI: pairs of protein side chains",
    domain=Domain.NON_COVALENT,
    reference=reference(
        "DW-CCSD(T)-F12",
        "L. A. Burns et al., J. Chem. Phys. 147, 161727 (2017); Debian's psi4-data",
    ),
    computes=COMPUTES,
    run=psi4_run("SSI"),
    cost=12.0,
    in_quick=False,
)
