"""Structures for a case: those of tests/structures.py and more, in its model's elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from structures import ELEMENTS, STRUCTURES

ALWAYS = ("close_contacts", "triclinic")
"""In every case: all pair distances from 0.7 A on, and self-image edges in a skewed cell."""
SOMETIMES = (
    "rattled_bulk",
    "slab",
    "water_cluster",
    "left_handed",
    "dimer",
    "tiny_cell",
    "wire",
    "random_crystal",
    "large_box",
    "random_cluster",
    "one_atom",
    "far_apart",
)
"""Taken in turn, `TURNS` of them by each case."""
TURNS = 4
WITHOUT_PAIRS = ("one_atom", "far_apart")


def dimer(r_max: float) -> Atoms:
    """Two atoms near the cutoff."""
    return Atoms(
        "CO",
        positions=[
            [0.1, 0.2, 0.3],
            np.array([0.1, 0.2, 0.3]) + 0.93 * r_max * np.array([0.6, 0.48, -0.64]),
        ],
    )


def large_box() -> Atoms:
    """A molecule on the corner of a periodic box of 60 A, so that its bonds cross all of the box's
    faces.
    """
    atoms = STRUCTURES["water_cluster"]()[:3]
    atoms.set_cell([60.0, 60.0, 60.0])
    atoms.pbc = True
    atoms.wrap()
    return atoms


def random_cluster(seed: int) -> Atoms:
    """7 atoms of all elements at random places, no two closer than 0.8 A."""
    generator = np.random.default_rng(seed)
    positions: list[np.ndarray] = []
    while len(positions) < 7:
        trial = generator.uniform(0, 3.5, 3)
        if all(np.linalg.norm(trial - other) > 0.8 for other in positions):
            positions.append(trial)
    return Atoms(generator.choice(ELEMENTS, 7), positions=positions)


def random_crystal(seed: int) -> Atoms:
    """The cluster in a random skewed cell, in which some atoms lie outside."""
    atoms = random_cluster(seed)
    cell = 5.0 * np.eye(3) + np.random.default_rng(seed + 1).uniform(-1.0, 1.0, (3, 3))
    atoms.set_cell(cell)
    atoms.positions += [2.0, -3.0, 1.0]
    atoms.pbc = True
    return atoms


def geometry(name: str, elements: Sequence[str], r_max: float, seed: int) -> Atoms:
    """A structure by name; its H, C, N, O, Mg become the elements of the model, in this order and
    from the start again.
    """
    own = {"dimer": lambda: dimer(r_max), "large_box": large_box}
    randoms = {"random_cluster": random_cluster, "random_crystal": random_crystal}
    atoms = randoms[name](seed) if name in randoms else (own | STRUCTURES)[name]()
    atoms.symbols[:] = [
        elements[ELEMENTS.index(symbol) % len(elements)] for symbol in atoms.symbols
    ]
    generator = np.random.default_rng(seed)
    atoms.info = {"charge": int(generator.integers(-2, 4)), "spin": int(generator.integers(1, 4))}
    return atoms


def geometries(elements: Sequence[str], r_max: float, seed: int) -> dict[str, Atoms]:
    """The structures that the case with this seed is evaluated on."""
    turn = [SOMETIMES[(seed * TURNS + index) % len(SOMETIMES)] for index in range(TURNS)]
    names = [*ALWAYS, *turn]
    return {
        name: geometry(name, elements, r_max, 1000 * seed + index)
        for index, name in enumerate(names)
    }


def to_json(name: str, atoms: Atoms) -> dict[str, Any]:
    """A structure for the peer; JSON keeps every digit."""
    return {
        "name": name,
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell[:].tolist(),
        "pbc": atoms.pbc.tolist(),
        **atoms.info,
    }
