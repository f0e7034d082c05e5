"""Structures side by side as arrays: what a worker process is given.

Arrays of numpy travel between processes in microseconds, ASE's atoms do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Stack:
    """S structures with n atoms in total, or one of them."""

    sizes: np.ndarray
    """Number of atoms of each structure, `[S]`."""
    species: np.ndarray
    """Species indices, `[n]`."""
    positions: np.ndarray
    """`[n, 3]`, A."""
    cells: np.ndarray
    """`[S, 3, 3]`, A."""
    periodic: np.ndarray
    """`[S, 3]`."""
    states: np.ndarray
    """Total charge and spin multiplicity, `[S, 2]`."""
    head_weights: np.ndarray
    """`[n, n_heads]`."""

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.sizes)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in all of them."""
        return len(self.species)

    @cached_property
    def begins(self) -> np.ndarray:
        """Where the atoms of each structure begin and end, `[S + 1]`."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    @cached_property
    def structure(self) -> np.ndarray:
        """The structure that each atom belongs to, `[n]`."""
        return np.repeat(np.arange(self.n_structures), self.sizes)

    @property
    def has_stress(self) -> np.ndarray:
        """Whether a structure has a stress, `[S]`: it is periodic, and its cell has a volume."""
        return self.periodic.any(1) & (np.linalg.det(self.cells) != 0)
