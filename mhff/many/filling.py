"""Structures in groups that are evaluated together, as large as memory allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np

GIGABYTE = 1e9
DEFAULT_MEMORY = 0.5
"""Memory of an evaluation in each process, GB."""
MAX_ATOMS = 1024
"""Atoms of a group on a CPU: larger ones are no faster, and processes would share them badly."""
SMALL = 64
"""Every two atoms of an open structure of this size may be neighbours."""
MARGIN = 2.0
"""Added to each side of the box around a structure for its density, A: a thin one is not dense."""


class Sized(Protocol):
    """A structure, as far as memory is concerned."""

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        ...

    @property
    def n_pairs(self) -> float:
        """Number of edges, estimated."""
        ...


Item = TypeVar("Item", bound=Sized)


def filled(
    items: Iterable[Item], bytes_of: Callable[[int, float], float], memory: float, max_atoms: int
) -> Iterator[list[Item]]:
    """The items in groups for which `bytes_of(atoms, pairs)` is at most `memory` (GB).

    An item that needs more is a group of its own.
    """
    group: list[Item] = []
    n_atoms = 0
    n_pairs = 0.0
    for item in items:
        n_atoms += item.n_atoms
        n_pairs += item.n_pairs
        is_full = n_atoms > max_atoms or bytes_of(n_atoms, n_pairs) > memory * GIGABYTE
        if group and is_full:
            yield group
            group = []
            n_atoms = item.n_atoms
            n_pairs = item.n_pairs
        group.append(item)
    if group:
        yield group


def estimated_pairs(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_max: float
) -> float:
    """Number of edges of a structure, as if it filled its cell, or the box around it, evenly."""
    n_atoms = len(positions)
    is_open = not pbc.any()
    if is_open and n_atoms <= SMALL:
        return n_atoms * (n_atoms - 1.0)
    volume = float(np.prod(np.ptp(positions, axis=0) + MARGIN))
    if not is_open:
        volume = min(volume, abs(float(np.linalg.det(cell))) or volume)
    pairs = n_atoms**2 * 4 / 3 * math.pi * r_max**3 / volume
    if not math.isfinite(pairs):  # the search will say what is wrong
        return 0.0
    return min(pairs, n_atoms * (n_atoms - 1.0)) if is_open else pairs
