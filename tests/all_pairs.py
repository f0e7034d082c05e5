"""Neighbours by their definition: every pair of atoms in every image that could be near enough."""

from __future__ import annotations

from itertools import product

import numpy as np


def all_pairs(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_max: float
) -> tuple[np.ndarray, np.ndarray]:
    """The result of `mhff.neighbours.neighbour_list`, in any order; slow for wide structures."""
    lattice = cell[pbc]
    inverse = np.linalg.pinv(lattice)
    farthest = np.ptp(positions @ inverse, axis=0) + r_max * np.linalg.norm(inverse, axis=0)
    index, vectors = [], []
    for shift in product(*(range(-int(n) - 1, int(n) + 2) for n in farthest)):
        between = positions[None] - positions[:, None] - np.array(shift, dtype=float) @ lattice
        near = np.linalg.norm(between, axis=2) < r_max
        if not any(shift):
            np.fill_diagonal(near, val=False)
        index.append(np.argwhere(near))
        vectors.append(between[near])
    return np.concatenate(index).T, np.concatenate(vectors)


def in_order(edge_index: np.ndarray, edge_vectors: np.ndarray) -> np.ndarray:
    """Rows (receiver, sender, x, y, z), in an order that rounding does not change."""
    rows = np.column_stack([edge_index[1], edge_index[0], edge_vectors])
    return rows[np.lexsort(np.round(rows, 6).T[::-1])]


def assert_same_edges(
    found: tuple[np.ndarray, np.ndarray],
    expected: tuple[np.ndarray, np.ndarray],
    tolerance: float = 1e-10,
) -> None:
    """Edges and vectors (A), whatever their order."""
    one, other = in_order(*found), in_order(*expected)
    assert one.shape == other.shape
    assert np.abs(one - other).max(initial=0.0) <= tolerance
