"""JSCH: interaction energies of 124 pairs of nucleobases."""

from __future__ import annotations

from mhff_suite.non_covalent import COMPUTES, psi4_run, reference
from mhff_suite.protocol import Domain, Task

TASK = Task(
    name="jsch",
    title="JSCH: pairs of nucleobases and amino acids",
    domain=Domain.NON_COVALENT,
    reference=reference(
        "MP2 and CCSD(T), extrapolated",
        "P. Jurecka et al., Phys. Chem. Chem. Phys. 8, 1985 (2006); Debian's psi4-data",
    ),
    computes=COMPUTES,
    run=psi4_run("JSCH"),
    cost=1.0,
    in_quick=False,
)
