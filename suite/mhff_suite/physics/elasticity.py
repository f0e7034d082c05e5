"""Elastic constants of cubic crystals, from stresses of strained cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mhff_suite.physics.equation_of_state import equation_of_state, scaled
from mhff_suite.physics.relaxation import relaxed
from mhff_suite.potential import Potential

STRAIN = 0.004


@dataclass(frozen=True)
class ElasticConstants:
    """The three constants of a cubic crystal, in one unit."""

    c11: float
    c12: float
    c44: float

    @property
    def bulk_modulus(self) -> float:
        """Resistance to pressure."""
        return (self.c11 + 2 * self.c12) / 3

    @property
    def is_stable(self) -> bool:
        """Whether the crystal resists every strain (M. Born, 1940)."""
        return self.c44 > 0 and self.c11 > abs(self.c12)


def elastic_constants(potential: Potential, atoms: Atoms) -> ElasticConstants | None:
    """Elastic constants at the minimum, eV/A^3; None without one near the given volume.

    `atoms` is a cubic cell with its axes along x, y and z.
    """
    equation = equation_of_state(potential, atoms)
    if equation is None:
        return None
    crystal = scaled(atoms, equation.volume * len(atoms) / atoms.get_volume())
    stretched = _slope(potential, crystal, np.diag([1.0, 0.0, 0.0]))
    sheared = _slope(potential, crystal, np.array([[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]]))
    if stretched is None or sheared is None:
        return None
    return ElasticConstants(
        c11=float(stretched[0, 0]),
        c12=float((stretched[1, 1] + stretched[2, 2]) / 2),
        c44=float(sheared[1, 2]),
    )


def _slope(potential: Potential, crystal: Atoms, strain: np.ndarray) -> np.ndarray | None:
    """Change of the stress with a strain, atoms relaxed, by central differences, eV/A^3."""
    stresses = []
    for sign in (1, -1):
        changed = crystal.copy()
        deformation = np.eye(3) + sign * STRAIN * strain
        changed.set_cell(crystal.cell[:] @ deformation, scale_atoms=True)
        if len(changed) > 1:
            still = relaxed(potential, changed)
            if still is None:
                return None
            changed = still
        (found,) = potential.evaluate([changed])
        if found.stress is None:
            return None
        stresses.append(found.stress)
    result: np.ndarray = (stresses[0] - stresses[1]) / (2 * STRAIN)
    return result
