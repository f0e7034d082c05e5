"""S66x8: dissociation curves of 66 complexes."""

from __future__ import annotations

import numpy as np

from mhff_suite.errors import mean_absolute_error, parity
from mhff_suite.non_covalent import (
    CHEMICAL_ACCURACY,
    COMPUTES,
    UNIT,
    dissociation_curves,
    psi4_complexes,
    reference,
    taken,
)
from mhff_suite.outcome import Outcome
from mhff_suite.physics.interaction import interaction_energies
from mhff_suite.protocol import Domain, Setting, Task

CLOSE = 1.0
"""Distance, relative to the minimum, up to which points are close."""


def run(setting: Setting) -> Outcome:
    """Errors at short and at long distances, and curves."""
    able, notes = taken(setting, psi4_complexes(setting, "S66by8"))
    found = interaction_energies(setting.potential, able)
    expected = np.array([each.reference for each in able])
    names, distances = zip(*(each.name.rsplit("-", 1) for each in able), strict=True)
    relative = np.array([float(each) for each in distances])
    values = [
        mean_absolute_error(
            f"{where} interaction energy", UNIT, expected[mask], found[mask], CHEMICAL_ACCURACY
        )
        for where, mask in (("close", relative <= CLOSE), ("far", relative > CLOSE))
        if mask.any()
    ]
    drawings = [parity("S66x8: interaction energies", UNIT, (), expected, found)]
    figure = dissociation_curves(names, list(relative), expected, found)
    return Outcome(values=tuple(values), drawings=(*drawings, figure), notes=notes)


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
