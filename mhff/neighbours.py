"""Which atoms are neighbours: pairs closer than a cutoff, and structures that have no such list."""

from __future__ import annotations

import numpy as np
import torch
from vesin import NeighborList

from mhff.errors import MHFFError

FLAT = 1e-9
"""A lattice vector closer than this, relative to the longest, to the plane or line of the others
depends on them.
"""


def neighbour_list(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_max: float
) -> tuple[np.ndarray, np.ndarray]:
    """`edge_index [2, E]` sorted by receiver and `edge_vectors [E, 3]` of all pairs closer than
    `r_max`, A.

    Any cell will do: triclinic, smaller than the cutoff, periodic in some directions only, or none.
    """
    _check_geometry(positions, cell, pbc)
    if len(positions) == 0:
        return np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3))
    search = NeighborList(cutoff=r_max, full_list=True, sorted=True, n_threads=1)
    receiver, sender, distance, vectors = search.compute(positions, cell, pbc, quantities="ijdD")
    check_distances(distance, sender, receiver)
    inside = distance < r_max
    return np.stack([sender[inside], receiver[inside]]).astype(np.int64), -vectors[inside]


def check_distances(
    distances: np.ndarray | torch.Tensor,
    sender: np.ndarray | torch.Tensor,
    receiver: np.ndarray | torch.Tensor,
) -> None:
    """Raise MHFFError if the two atoms of an edge are at the same place; all arguments are `[E]`."""
    if (distances == 0).any():
        first = int(distances.argmin())
        raise MHFFError(
            f"expected atoms at different places, got atoms {sender[first]} and {receiver[first]} "
            "(or their images) at the "
            "same one; move or remove one of them"
        )


def _check_geometry(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> None:
    if not np.isfinite(positions).all() or not np.isfinite(cell).all():
        raise MHFFError(
            "expected finite positions and cell, got NaN or infinity; check the structure"
        )
    lattice = cell[pbc]
    if pbc.any() and np.linalg.matrix_rank(
        lattice, tol=FLAT * np.linalg.norm(lattice, axis=1).max()
    ) < len(lattice):
        raise MHFFError(
            "expected independent lattice vectors for the periodic directions (pbc "
            f"{pbc.tolist()}), "
            f"got the cell {cell.tolist()}; set the cell, or pbc=False"
        )
