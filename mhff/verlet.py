"""Neighbours along a trajectory: a list with a skin, built anew only when an atom has moved far
enough.
"""

from __future__ import annotations

import numpy as np
import torch

from mhff.errors import MHFFError
from mhff.neighbours import check_distances, neighbour_list


class VerletList:
    """Edges closer than `r_max`, taken from a list of pairs closer than `r_max` and a skin (both in
    A).

    The list is complete while no atom has moved more than skin / 2 from where it was when the list
    was built, in the same cell. In between, edge vectors follow from the displacements u: x_i - x_j
    changes by u_i - u_j, whatever the image of j. The first list in a cell has no skin: structures
    that are no trajectory, and cells that change at every step, need none.
    """

    def __init__(self, r_max: float, skin: float, device: torch.device | str = "cpu") -> None:
        self.r_max, self.skin, self.device = r_max, skin, device
        self.n_builds = 0
        self._margin = 0.0  # how far an atom may move before the list is built anew
        self._positions, self._cell, self._pbc = (
            np.empty((0, 3)),
            np.empty((0, 3)),
            np.empty(0, bool),
        )

    def edges(
        self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`edge_vectors [E, 3]`, float64, and `edge_index [2, E]` (`mhff.graph`), on the device,
        sorted by receiver.

        `positions [n, 3]` need not be wrapped into the cell; `cell [3, 3]`, rows are lattice
        vectors; `pbc [3]`. Raises MHFFError for what has no neighbour list
        (`mhff.neighbours.neighbour_list`).
        """
        known = (
            np.array_equal(pbc, self._pbc)
            and np.array_equal(cell, self._cell)
            and len(positions) == len(self._positions)
        )
        displacements = positions - self._positions if known else None
        if (
            displacements is None or not _farthest(displacements) <= self._margin
        ):  # not so for NaN, which is refused then
            self._build(positions, cell, pbc, self.skin if known else 0.0)
            vectors = self._vectors
        else:
            moved = torch.from_numpy(displacements).to(self.device)
            vectors = (
                self._vectors
                + moved.index_select(0, self._index[1])
                - moved.index_select(0, self._index[0])
            )
        if self._margin == 0:
            return vectors, self._index
        distances = torch.linalg.vector_norm(vectors, dim=1)
        check_distances(distances, *self._index)
        inside = torch.nonzero(distances < self.r_max).squeeze(1)
        return vectors.index_select(0, inside), self._index.index_select(1, inside)

    def _build(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, skin: float) -> None:
        edge_index, edge_vectors = neighbour_list(positions, cell, pbc, self.r_max + skin)
        self._index = torch.from_numpy(edge_index).to(self.device)
        self._vectors = torch.from_numpy(edge_vectors).to(self.device)
        self._positions, self._cell, self._pbc = positions.copy(), cell.copy(), pbc.copy()
        self._margin = skin / 2
        self.n_builds += 1


def check_skin(skin: float, usual: float) -> None:
    """Raise MHFFError for what is not the width of a skin, A, naming the usual one."""
    if not 0 <= skin < float("inf"):
        raise MHFFError(
            f"expected a skin of 0 A or more, got {skin}; {usual:g} A suits most simulations"
        )


def _farthest(displacements: np.ndarray) -> float:
    """Length of the longest of `[n, 3]`."""
    return float(np.einsum("ij,ij->i", displacements, displacements).max(initial=0.0)) ** 0.5
