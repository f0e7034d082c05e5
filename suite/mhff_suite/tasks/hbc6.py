"""HBC6: dissociation curves of doubly hydrogen-bonded complexes."""

from __future__ import annotations

import numpy as np

from mhff_suite.errors import mean_absolute_error
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


def run(setting: Setting) -> Outcome:
    """Errors along the curves, and the curves."""
    able, notes = taken(setting, psi4_complexes(setting, "HBC6"))
    found = interaction_energies(setting.potential, able)
    expected = np.array([each.reference for each in able])
    names, distances = zip(*(each.name.rsplit("-", 1) for each in able), strict=True)
    curves = dissociation_curves(names, [float(each) for each in distances], expected, found)
    return Outcome(
        values=(
            mean_absolute_error("interaction energy", UNIT, expected, found, CHEMICAL_ACCURACY),
        ),
        drawings=(curves.model_copy(update={"x_label": "distance, A"}),),
        notes=notes,
    )


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
