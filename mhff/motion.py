"""How far atoms and cell have moved since a search for neighbours, and whether its pairs still do.

Positions x0 in a cell h0 (rows are lattice vectors) become x in the cell h. The deformation of the
cell, A = h0^-1 h, takes all atoms with it; what an atom moved beyond that, in the earlier cell, is

    u_i = x_i A^-1 - x0_i.

Two atoms, or images of them, closer than r_max now were closer than s r_max + |u_i| + |u_j| then,
where s is the largest singular value of A^-1. So the pairs within r_max + skin include every edge
while

    (s - 1) r_max + 2 max |u_i| <= skin.

This holds whatever lattice vectors are added to a position, because pairs are those of all images.
So atoms may leave the cell, or be wrapped back into it. And the cell may be replaced by another one
of the same lattice, as programs do that keep a cell compact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mhff.neighbours import lattice_inverse


@dataclass(frozen=True)
class Motion:
    """The way from an earlier geometry to the present one."""

    stretch: float
    """The largest factor by which undoing the cell's deformation lengthens a vector."""
    farthest: float
    """Length of the longest displacement beyond the deformation, A; NaN if a position is."""
    lattice: np.ndarray
    """The earlier lattice vectors as they are now, `[n_periodic, 3]`."""
    crossings: np.ndarray | None
    """Number of these by which each atom was wrapped, `[n, n_periodic]`; None if none was."""

    def skin_needed(self, r_max: float) -> float:
        """Width of a skin with which a list of the earlier geometry holds now, A."""
        return (self.stretch - 1) * r_max + 2 * self.farthest


class Geometry:
    """Positions `[n, 3]` and cell `[3, 3]`, A, at one time, and periodic directions `[3]`."""

    def __init__(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> None:
        self.positions = positions.copy()
        self.cell = cell.copy()
        self.pbc = pbc.copy()
        self.lattice = cell[pbc]
        # compared at every step, and numpy's comparison of small arrays takes ten times as long
        self._cell_bytes = cell.tobytes()
        self._pbc_bytes = pbc.tobytes()

    @cached_property
    def inverse(self) -> np.ndarray:
        """Matrix `[3, n_periodic]` to coordinates along the periodic lattice vectors."""
        return lattice_inverse(self.cell, self.pbc)[:, : int(self.pbc.sum())]

    @cached_property
    def half_height(self) -> float:
        """Half the smallest distance between opposite faces of the cell, A."""
        lengths = np.linalg.norm(self.inverse, axis=0)
        return float(0.5 / lengths.max(initial=0.0)) if len(lengths) else float("inf")

    @cached_property
    def images(self) -> np.ndarray:
        """Lattice vectors that lead from the cell to each atom, `[n, n_periodic]`."""
        return np.floor(self.positions @ self.inverse)

    @cached_property
    def offsets(self) -> np.ndarray:
        """Vectors from atoms' images in the cell to the atoms, `[n, 3]`, A."""
        return self.images @ self.lattice

    def is_like(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> bool:
        """Whether another geometry has as many atoms, in the same cell."""
        return (
            len(positions) == len(self.positions)
            and cell.tobytes() == self._cell_bytes
            and pbc.tobytes() == self._pbc_bytes
        )

    def motion_to(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> Motion | None:
        """The way to another geometry.

        None for another number of atoms, other periodic directions, or quite another cell; where
        directions are open, any other cell, because nothing says how it was deformed.
        """
        if self.is_like(positions, cell, pbc):
            return self._motion(positions - self.positions, 1.0, self.lattice)
        if len(positions) != len(self.positions) or pbc.tobytes() != self._pbc_bytes:
            return None
        if not (pbc.all() and np.isfinite(cell).all() and np.linalg.det(cell)):
            return None
        basis = np.rint(cell @ self.inverse)
        if round(abs(np.linalg.det(basis))) != 1:
            return None
        lattice = np.linalg.solve(basis, cell)
        undone = np.linalg.solve(lattice, self.cell)
        stretch = float(np.linalg.norm(undone, 2))
        return self._motion(positions @ undone - self.positions, stretch, lattice)

    def _motion(self, moved: np.ndarray, stretch: float, lattice: np.ndarray) -> Motion:
        """The motion with these displacements `[n, 3]`, after wrapping is undone."""
        farthest = _longest(moved)
        if not self.half_height < farthest < float("inf"):
            return Motion(stretch, farthest, lattice, None)
        crossings = np.rint(moved @ self.inverse)
        farthest = _longest(moved - crossings @ self.lattice)
        return Motion(stretch, farthest, lattice, crossings)


def _longest(vectors: np.ndarray) -> float:
    """Length of the longest of the vectors `[n, 3]`; NaN if one of them is."""
    return float(np.einsum("ij,ij->i", vectors, vectors).max(initial=0.0)) ** 0.5
