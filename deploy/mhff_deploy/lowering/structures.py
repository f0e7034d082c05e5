"""Structures on which lowered networks and compiled programs are compared with the eager model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms

SIZES = (1, 2, 9, 64)
SPACING = 2.3
"""Distance between neighbours of the test structures before rattling, A."""


def check_structures(elements: Sequence[str]) -> Iterator[Atoms]:
    """Rattled simple-cubic crystals and clusters of random species, one atom alone among them."""
    rng = np.random.default_rng(0)
    for n_atoms in SIZES:
        side = int(np.ceil(n_atoms ** (1 / 3)))
        grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[:n_atoms] * SPACING
        positions = grid + rng.normal(0, 0.12, grid.shape)
        for periodic in (False, True):
            yield Atoms(
                rng.choice(list(elements), n_atoms),
                positions,
                cell=np.eye(3) * side * SPACING,
                pbc=periodic,
            )
