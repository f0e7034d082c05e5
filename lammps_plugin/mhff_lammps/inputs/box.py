"""A structure in the form that LAMMPS requires.

LAMMPS' first lattice vector lies along x, the second in the xy plane, the three are right-handed,
and a tilt of at most half an edge is best. Along open directions the box is rectangular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mhff.atoms import geometry

PADDING = 1.0
"""Distance between the outermost atoms and the faces of the box along an open direction, A."""
NO_TILT = 1e-12
"""Tilts below this, relative to the longest edge, are rounding: the box is orthogonal."""


@dataclass(frozen=True)
class Box:
    """LAMMPS' simulation box, A."""

    low: np.ndarray
    """Lower bounds, `[3]`."""
    high: np.ndarray
    """Upper bounds, `[3]`."""
    tilts: np.ndarray
    """The tilt factors xy, xz and yz, `[3]`."""
    pbc: np.ndarray
    """Periodic directions, `[3]`."""

    @property
    def is_triclinic(self) -> bool:
        """Whether any tilt differs from zero."""
        return bool(self.tilts.any())


@dataclass(frozen=True)
class Placement:
    """A structure in LAMMPS' orientation."""

    box: Box
    rotation: np.ndarray
    """Turns row vectors of the structure into those of LAMMPS, `v @ rotation`; `[3, 3]`, proper."""
    positions: np.ndarray
    """`[n, 3]`, A; LAMMPS wraps them into the box."""


def place(atoms: Atoms) -> Placement:
    """The structure in LAMMPS' orientation; its periodic lattice vectors must be independent."""
    positions, cell, pbc = geometry(atoms)
    vectors = _right_handed(_completed(cell, pbc), pbc)
    lattice, rotation = _lower_triangular(vectors)
    turned = positions @ rotation
    low = np.zeros(3)
    high = np.diag(lattice).copy()
    for axis in np.flatnonzero(~pbc):
        low[axis], high[axis] = _bounds(turned[:, axis], (cell @ rotation)[axis, axis])
    return Placement(Box(low, high, _reduced(lattice), pbc), rotation, turned)


def _bounds(coordinates: np.ndarray, edge: float) -> tuple[float, float]:
    """Bounds along an open direction: the cell's edge if it has one, or beyond the atoms."""
    lowest = float(coordinates.min())
    highest = float(coordinates.max())
    if abs(edge) < PADDING:
        return lowest - PADDING, highest + PADDING
    return min(0.0, edge, lowest), max(0.0, edge, highest)


def _completed(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Lattice vectors whose open ones are unit vectors perpendicular to all others."""
    vectors = cell.copy()
    is_open = np.flatnonzero(~pbc)
    if len(is_open) == 3:
        vectors = np.eye(3)
    elif len(is_open) == 2:
        (axis,) = np.flatnonzero(pbc)
        second = (axis + 1) % 3
        third = (axis + 2) % 3
        vectors[second] = _perpendicular(vectors[axis], int(second))
        vectors[third] = np.cross(vectors[axis], vectors[second])
    elif len(is_open) == 1:
        (axis,) = is_open
        vectors[axis] = np.cross(vectors[(axis + 1) % 3], vectors[(axis + 2) % 3])
    vectors[is_open] /= np.linalg.norm(vectors[is_open], axis=1, keepdims=True)
    return vectors


def _perpendicular(vector: np.ndarray, axis: int) -> np.ndarray:
    """A vector perpendicular to another one, near a Cartesian axis if that is possible."""
    direction = vector / np.linalg.norm(vector)
    if abs(direction[axis]) > np.sqrt(0.5):
        axis = int(np.abs(direction).argmin())
    unit = np.eye(3)[axis]
    return unit - (unit @ direction) * direction


def _right_handed(vectors: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """The same lattice with right-handed vectors; a mirror image would be another molecule."""
    if np.linalg.det(vectors) > 0:
        return vectors
    signs = np.ones(3)
    signs[np.flatnonzero(pbc)[-1]] = -1.0
    return vectors * signs[:, None]


def _lower_triangular(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right-handed vectors as a lower triangular matrix `vectors @ rotation`, and the rotation."""
    lattice = vectors.copy()
    rotation = np.eye(3)
    if np.triu(vectors, 1).any() or (np.diag(vectors) < 0).any():
        orthogonal, upper = np.linalg.qr(vectors.T)
        signs = np.sign(np.diag(upper))
        lattice = np.tril((upper * signs[:, None]).T)
        rotation = orthogonal * signs
    lattice[np.abs(lattice) < NO_TILT * np.abs(lattice).max()] = 0.0
    return lattice, rotation


def _reduced(lattice: np.ndarray) -> np.ndarray:
    """Tilts xy, xz and yz of at most half an edge, by adding lattice vectors to others."""
    a, b, c = lattice.copy()
    b = b - np.round(b[0] / a[0]) * a
    c = c - np.round(c[1] / b[1]) * b
    c = c - np.round(c[0] / a[0]) * a
    return np.array([b[0], c[0], c[1]])
