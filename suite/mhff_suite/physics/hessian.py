"""Second derivatives of the energy, by differences of forces."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mhff_suite.potential import Potential

STEP = 2e-3
"""Displacement, A."""
OFFSETS = (-2, -1, 1, 2)
WEIGHTS = (1 / 12, -8 / 12, 8 / 12, -1 / 12)
"""Five-point formula of the first derivative."""


def hessian(potential: Potential, atoms: Atoms, step: float = STEP) -> np.ndarray:
    """Second derivatives `[3n, 3n]`, eV/A^2, row 3 i + x, not made symmetric."""
    n = 3 * len(atoms)
    structures = [moved(atoms, row, offset * step) for row in range(n) for offset in OFFSETS]
    forces = np.array([each.forces for each in potential.evaluate(structures)])
    gradients = -forces.reshape(n, len(OFFSETS), n)
    result: np.ndarray = np.tensordot(np.array(WEIGHTS), gradients, axes=(0, 1)) / step
    return result


def moved(atoms: Atoms, row: int, distance: float) -> Atoms:
    """A copy with one coordinate changed."""
    changed = atoms.copy()
    changed.positions[row // 3, row % 3] += distance
    return changed
