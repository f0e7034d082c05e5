"""S66: interaction energies of 66 complexes of organic molecules."""

from __future__ import annotations

from mhff_suite.non_covalent import COMPUTES, psi4_run, reference
from mhff_suite.protocol import Domain, Task

TASK = Task(
    name="s66",
    title="S66: 66 complexes of organic molecules",
    domain=Domain.NON_COVALENT,
    reference=reference(
        "CCSD(T)/CBS",
        "J. Rezac, K. E. Riley, P. Hobza, J. Chem. Theory Comput. 7, 2427 (2011); Debian's "
        "psi4-data",
    ),
    computes=COMPUTES,
    run=psi4_run("S66"),
    cost=1.0,
)
