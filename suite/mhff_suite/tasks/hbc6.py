"""HBC6: dissociation curves of doubly hydrogen-bonded complexes."""

from __future__ import annotations

from mhff_suite.non_covalent import COMPUTES, psi4_complexes, reference, scan_outcome
from mhff_suite.outcome import Outcome
from mhff_suite.protocol import Domain, Setting, Task


def run(setting: Setting) -> Outcome:
    """Errors along the curves, and the curves."""
    return scan_outcome(setting, psi4_complexes(setting, "HBC6"), "distance, A")


TASK = Task(
    name="hbc6",
    title="HBC6: formic acid, formamide and formamidine pulled apart",
    domain=Domain.NON_COVALENT,
    reference=reference(
        "CCSD(T)/CBS",
        "K. S. Thanthiriwatte et al., J. Chem. Theory Comput. 7, 88 (2011); M. S. Marshall et "
        "al., J. Chem. Phys. 135, 194102 (2011); Debian's psi4-data",
    ),
    computes=COMPUTES,
    run=run,
    cost=1.0,
    in_quick=False,
)
