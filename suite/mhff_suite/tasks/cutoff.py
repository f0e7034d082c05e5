"""Energies and forces are smooth where an atom enters the cutoff."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mhff_suite.errors import law
from mhff_suite.outcome import Outcome
from mhff_suite.physics.samples import molecules
from mhff_suite.potential import Potential
from mhff_suite.protocol import PHYSICAL_LAW, Domain, Setting, Task

NEAR = 1e-3
"""Distance from the cutoff on both sides, A."""
ENERGY_TOLERANCE = 1e-6
"""eV."""
FORCE_TOLERANCE = 1e-4
"""eV/A."""
CURVATURE_TOLERANCE = 1e-2
"""eV/A^2."""
N_SAMPLES = 3
MAX_ELEMENTS = 12


def with_visitor(atoms: Atoms, symbol: str, distance: float) -> Atoms:
    """A molecule with an atom at this distance from its outermost atom, and farther from others."""
    last = int(np.argmax(atoms.positions[:, 0]))
    place = atoms.positions[last] + [distance, 0.0, 0.0]
    return atoms + Atoms(symbol, [place])


def steps(
    potential: Potential, atoms: Atoms, symbols: Sequence[str], r_max: float
) -> tuple[float, float, float]:
    """Largest steps of energy, force and curvature across the cutoff, eV and A."""
    distances = r_max + NEAR * np.array([-2, -1, 1, 2])
    structures = [with_visitor(atoms, each, r) for each in symbols for r in distances]
    found = potential.evaluate(structures)
    energies = np.array([each.energy for each in found]).reshape(-1, 4)
    forces = np.array([each.forces[-1, 0] for each in found]).reshape(-1, 4)
    inside = (forces[:, 1] - forces[:, 0]) / NEAR
    outside = (forces[:, 3] - forces[:, 2]) / NEAR
    return (
        float(np.abs(energies[:, 2] - energies[:, 1]).max()),
        float(np.abs(forces[:, 2] - forces[:, 1]).max()),
        float(np.abs(outside - inside).max()),
    )


def run(setting: Setting) -> Outcome:
    """The largest steps over molecules and visiting atoms."""
    symbols = setting.elements[:: max(1, len(setting.elements) // MAX_ELEMENTS)]
    found = [
        steps(setting.potential, atoms, symbols, setting.r_max)
        for atoms in molecules(setting.elements, N_SAMPLES)
    ]
    energy, force, curvature = (max(column) for column in zip(*found, strict=True))
    sentence = "the {} jumps where an atom crosses the cutoff: {}"
    return Outcome(
        values=(
            law(
                "step of the energy",
                energy,
                "eV",
                ENERGY_TOLERANCE,
                sentence.format("energy", "it drifts in dynamics"),
            ),
            law(
                "step of the force",
                force,
                "eV/A",
                FORCE_TOLERANCE,
                sentence.format("force", "large steps heat the system"),
            ),
            law(
                "step of the curvature",
                curvature,
                "eV/A^2",
                CURVATURE_TOLERANCE,
                sentence.format("curvature", "phonons depend on the displacement"),
            ),
        )
    )


TASK = Task(
    name="cutoff",
    title="Smoothness at the cutoff",
    domain=Domain.PHYSICS,
    reference=PHYSICAL_LAW,
    computes="Energy, force and curvature on both sides of the distance at which an atom is seen.",
    run=run,
    cost=1.0,
)
