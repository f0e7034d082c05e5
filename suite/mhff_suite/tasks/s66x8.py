"""S66x8: dissociation curves of 66 complexes."""

from __future__ import annotations

from mhff_suite.errors import parity
from mhff_suite.non_covalent import COMPUTES, UNIT, error, psi4_complexes, reference, scan
from mhff_suite.outcome import Outcome
from mhff_suite.protocol import Domain, Setting, Task

CLOSE = 1.0
"""Distance, relative to the minimum, up to which points are close."""


def run(setting: Setting) -> Outcome:
    """Errors at short and at long distances, and curves."""
    found = scan(setting, psi4_complexes(setting, "S66by8"))
    close = found.distances <= CLOSE
    values = [
        error(found.expected[mask], found.found[mask], where)
        for where, mask in (("close", close), ("far", ~close))
        if mask.any()
    ]
    drawing = parity("S66x8: interaction energies", UNIT, (), found.expected, found.found)
    return Outcome(values=tuple(values), drawings=(drawing, found.figure), notes=found.notes)


TASK = Task(
    name="s66x8",
    title="S66x8: dissociation curves of 66 complexes",
    domain=Domain.NON_COVALENT,
    reference=reference(
        "CCSD(T)/CBS",
        "J. Rezac, K. E. Riley, P. Hobza, J. Chem. Theory Comput. 7, 2427 (2011); Debian's "
        "psi4-data",
    ),
    computes=COMPUTES,
    run=run,
    cost=3.0,
    in_quick=False,
)
