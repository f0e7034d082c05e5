"""Twice the matter has twice the energy."""

from __future__ import annotations

from ase import Atoms

from mhff_suite.errors import law
from mhff_suite.outcome import Outcome
from mhff_suite.physics.samples import crystals, molecules
from mhff_suite.potential import energies
from mhff_suite.protocol import PHYSICAL_LAW, Domain, Setting, Task

TOLERANCE = 1e-6
"""eV."""
N_SAMPLES = 3
REPEATS = (2, 1, 2)
APART = 5.0
"""Distance between molecules beyond that at which they feel each other, A."""


def side_by_side(atoms: Atoms, distance: float) -> Atoms:
    """A molecule and its copy, this far apart."""
    copy = atoms.copy()
    width = float(atoms.positions[:, 0].max() - atoms.positions[:, 0].min())
    copy.translate([width + distance, 0.0, 0.0])
    return atoms + copy


def run(setting: Setting) -> Outcome:
    """The largest deviation from additivity, of molecules far apart and of supercells."""
    alone = molecules(setting.elements, N_SAMPLES)
    pairs = [side_by_side(atoms, setting.reach + APART) for atoms in alone]
    small = crystals(setting.elements, N_SAMPLES)
    large = [atoms.repeat(REPEATS) for atoms in small]
    potential = setting.potential
    n_cells = REPEATS[0] * REPEATS[1] * REPEATS[2]
    between = abs(energies(potential, pairs) - 2 * energies(potential, alone)).max()
    values = [
        law(
            "two molecules far apart",
            between,
            "eV",
            TOLERANCE,
            "molecules far apart do not have the sum of their energies",
        )
    ]
    if small:
        inside = abs(energies(potential, large) - n_cells * energies(potential, small)).max()
        sentence = "the energy of a supercell is not that of its cells"
        values.append(law("supercells of crystals", inside, "eV", TOLERANCE, sentence))
    return Outcome(values=tuple(values))


TASK = Task(
    name="extensivity",
    title="Twice the matter, twice the energy",
    domain=Domain.PHYSICS,
    reference=PHYSICAL_LAW,
    computes="Energies of molecules far apart and of supercells against their parts.",
    run=run,
    cost=1.0,
)
