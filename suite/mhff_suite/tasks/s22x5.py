"""S22x5: dissociation curves of the complexes of S22, which ASE ships."""

from __future__ import annotations

from ase.data.s22 import (
    create_s22_system,
    get_interaction_energy_s22x5,
    get_number_of_dimer_atoms,
    s22,
)

from mhff_suite.non_covalent import COMPUTES, reference, scan_outcome
from mhff_suite.outcome import Outcome
from mhff_suite.physics.interaction import KCAL_PER_MOL, Complex, split
from mhff_suite.protocol import Domain, Setting, Task

DISTANCES = ("0.9", "1.0", "1.2", "1.5", "2.0")
"""Relative to the minimum, as ASE names them."""


def complexes() -> list[Complex]:
    """The complexes at each distance; their names end with it."""
    return [
        split(
            f"{name.replace('_', ' ')}-{distance}",
            create_s22_system(name, float(distance)),
            get_number_of_dimer_atoms(name)[0],
            get_interaction_energy_s22x5(name, float(distance)) / KCAL_PER_MOL,
        )
        for name in s22
        for distance in DISTANCES
    ]


def run(setting: Setting) -> Outcome:
    """Errors along the curves, and the curves."""
    return scan_outcome(setting, complexes())


TASK = Task(
    name="s22x5",
    title="S22x5: complexes pressed together and pulled apart",
    domain=Domain.NON_COVALENT,
    reference=reference(
        "CCSD(T)/CBS",
        "L. Grafova, M. Pitonak, J. Rezac, P. Hobza, J. Chem. Theory Comput. 6, 2365 (2010); "
        "shipped with ASE",
        "LGPL-2.1 (ASE)",
    ),
    computes=COMPUTES,
    run=run,
    cost=2.0,
    in_quick=False,
)
