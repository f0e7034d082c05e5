"""S22: interaction energies of 22 small to medium complexes."""

from __future__ import annotations

from ase.data.s22 import (
    create_s22_system,
    get_interaction_energy_cc,
    get_number_of_dimer_atoms,
    s22,
)

from mhff_suite.non_covalent import COMPUTES, outcome, reference
from mhff_suite.outcome import Outcome
from mhff_suite.physics.interaction import KCAL_PER_MOL, Complex, split
from mhff_suite.protocol import Domain, Setting, Task


def complexes() -> list[Complex]:
    """The complexes, as ASE ships them."""
    return [
        split(
            name.replace("_", " "),
            create_s22_system(name),
            get_number_of_dimer_atoms(name)[0],
            get_interaction_energy_cc(name) / KCAL_PER_MOL,
        )
        for name in s22
    ]


def run(setting: Setting) -> Outcome:
    """Errors of the interaction energies."""
    return outcome(setting, "S22", complexes())


TASK = Task(
    name="s22",
    title="S22: hydrogen bonds, stacking, dispersion",
    domain=Domain.NON_COVALENT,
    reference=reference(
        "CCSD(T)/CBS",
        "Geometries: P. Jurecka et al., Phys. Chem. Chem. Phys. 8, 1985 (2006); energies: T. "
        "Takatani et al., J. Chem. Phys. 132, 144104 (2010); shipped with ASE",
        "LGPL-2.1 (ASE)",
    ),
    computes=COMPUTES,
    run=run,
    cost=1.0,
    needs=("H", "C"),
)
