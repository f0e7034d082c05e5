"""Forces and stresses are derivatives of the energy."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mhff_suite.errors import law
from mhff_suite.outcome import Outcome
from mhff_suite.physics.hessian import OFFSETS, WEIGHTS
from mhff_suite.physics.samples import crystals, molecules
from mhff_suite.potential import Potential, energies
from mhff_suite.protocol import PHYSICAL_LAW, Domain, Setting, Task

STEP = 2e-3
"""Displacement in A, and strain."""
TOLERANCE = 1e-5
"""Relative to the largest force or stress."""
N_SAMPLES = 3
N_DIRECTIONS = 4


def derivative(potential: Potential, structures: list[Atoms], step: float) -> float:
    """Derivative of the energy from structures at the offsets of the five-point formula."""
    return float(np.dot(WEIGHTS, energies(potential, structures))) / step


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    """A structure strained together with its cell."""
    changed = atoms.copy()
    changed.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
    return changed


def error_of_forces(potential: Potential, atoms: Atoms, seed: int = 0) -> float:
    """Largest error of the forces along random directions, relative to the largest force."""
    rng = np.random.default_rng(seed)
    (predicted,) = potential.evaluate([atoms])
    worst = 0.0
    for _ in range(N_DIRECTIONS):
        direction = rng.normal(size=(len(atoms), 3))
        direction /= np.linalg.norm(direction)
        structures = []
        for offset in OFFSETS:
            changed = atoms.copy()
            changed.positions += offset * STEP * direction
            structures.append(changed)
        difference = -derivative(potential, structures, STEP) - (predicted.forces * direction).sum()
        worst = max(worst, abs(difference))
    return worst / max(float(np.abs(predicted.forces).max()), 1e-3)


def error_of_stress(potential: Potential, atoms: Atoms) -> float:
    """Largest error of the six stresses, relative to the largest; 0 without a cell."""
    (predicted,) = potential.evaluate([atoms])
    if predicted.stress is None:
        return 0.0
    worst = 0.0
    for row, column in zip(*np.triu_indices(3), strict=True):
        strain = np.zeros((3, 3))
        strain[row, column] += 0.5
        strain[column, row] += 0.5
        structures = [strained(atoms, offset * STEP * strain) for offset in OFFSETS]
        found = derivative(potential, structures, STEP) / atoms.get_volume()
        worst = max(worst, abs(found - predicted.stress[row, column]))
    return worst / max(float(np.abs(predicted.stress).max()), 1e-4)


def run(setting: Setting) -> Outcome:
    """The largest errors over molecules and crystals."""
    cells = crystals(setting.elements, N_SAMPLES)
    samples = [*molecules(setting.elements, N_SAMPLES), *cells]
    potential = setting.potential
    forces = max(error_of_forces(potential, atoms) for atoms in samples)
    stress = max((error_of_stress(potential, atoms) for atoms in cells), default=0.0)
    sentence = "{} are not the derivatives of the energy: energy drifts in dynamics"
    return Outcome(
        values=(
            law("error of forces", forces, "relative", TOLERANCE, sentence.format("forces")),
            law("error of stress", stress, "relative", TOLERANCE, sentence.format("stresses")),
        )
    )


TASK = Task(
    name="forces",
    title="Forces and stresses as derivatives",
    domain=Domain.PHYSICS,
    reference=PHYSICAL_LAW,
    computes="Five-point differences of energies against forces and stresses, in float64.",
    run=run,
    cost=2.0,
)
