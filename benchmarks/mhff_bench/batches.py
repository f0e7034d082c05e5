"""Batches of labelled structures on which training is measured.

Labels are random: what a step costs does not depend on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.build import molecule

from mhff_bench.systems import find_system
from mhff_bench.turns import as_request

Batch = dict[str, Any]
"""A request: its `structures`, each with `energy` (eV), `forces` (eV/A), `stress` (eV/A^3)."""

BOX = 16.0
"""Edge of the cell of a molecule, A."""
N_CRYSTALS = 4
ENERGY, FORCE, STRESS = 0.5, 0.1, 1e-3
"""Standard deviations of the labels; energies per structure."""


def crystals() -> Batch:
    """Four cells of MgO with 16 atoms each: many neighbours."""
    cell = find_system("mgo").atoms(8) * (2, 1, 1)
    return labelled([displaced(cell, seed) for seed in range(N_CRYSTALS)])


def mixture() -> Batch:
    """A crystal, a surface and three molecules: few neighbours, as in small data sets."""
    molecules = [molecule(name) for name in ("H2O", "CH3OH", "NH3")]
    for atoms in molecules:
        atoms.set_cell([BOX] * 3)
        atoms.center()
        atoms.pbc = True
    extended = [find_system("mgo").atoms(8), find_system("co-on-mgo").atoms(18)]
    return labelled([displaced(atoms, seed) for seed, atoms in enumerate([*extended, *molecules])])


def displaced(atoms: Atoms, seed: int) -> Atoms:
    """A copy whose atoms are displaced by 0.05 A."""
    copy = atoms.copy()
    copy.rattle(0.05, seed=seed)
    return copy


def labelled(structures: list[Atoms]) -> Batch:
    """A batch of structures with random labels."""
    generator = np.random.default_rng(0)
    return {"structures": [as_request(atoms) | _labels(atoms, generator) for atoms in structures]}


def smallest(batch: Batch) -> Batch:
    """A batch of its smallest structure alone."""
    return {"structures": [min(batch["structures"], key=lambda each: len(each["numbers"]))]}


def _labels(atoms: Atoms, generator: np.random.Generator) -> dict[str, Any]:
    stress = generator.normal(0.0, STRESS, (3, 3))
    return {
        "energy": generator.normal(0.0, ENERGY),
        "forces": generator.normal(0.0, FORCE, (len(atoms), 3)).tolist(),
        "stress": (0.5 * (stress + stress.T)).tolist(),
    }


BATCHES = {"crystals": crystals, "mixture": mixture}
