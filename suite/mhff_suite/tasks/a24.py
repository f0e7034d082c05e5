"""A24: interaction energies of 24 small complexes."""

from __future__ import annotations

from mhff_suite.non_covalent import COMPUTES, psi4_run, reference
from mhff_suite.protocol import Domain, Task

TASK = Task(
    name="a24",
    title="A24: 24 small complexes",
    domain=Domain.NON_COVALENT,
    reference=reference(
        "CCSD(T)/CBS and smaller corrections",
        "J. Rezac, P. Hobza, J. Chem. Theory Comput. 9, 2151 (2013); Debian's psi4-data",
    ),
    computes=COMPUTES,
    run=psi4_run("A24"),
    cost=1.0,
)
