"""Neighbours along a trajectory: a list with a skin, built anew only when an atom has moved far enough."""

from __future__ import annotations

import numpy as np
import torch

from mhff.graph import neighbour_list


class VerletList:
    """Edges closer than `r_max`, taken from a list of pairs closer than `r_max + skin` (both in A).

    The list is complete while no atom has moved more than skin / 2 from where it was when the list was built, in the same
    cell. In between, edge vectors follow from the displacements u: x_i - x_j changes by u_i - u_j, whatever the image of j.
    """

    def __init__(self, r_max: float, skin: float, device: torch.device) -> None:
        self.r_max, self.skin, self.device = r_max, skin, device
        self.n_builds = 0
        self._positions: np.ndarray | None = None
        self._cell: np.ndarray | None = None

    def edges(self, positions: np.ndarray, cell: np.ndarray | None) -> tuple[torch.Tensor, torch.Tensor]:
        """`edge_vectors [E, 3]`, float64, and `edge_index [2, E]` (`mhff.graph`), on the device, sorted by receiver.

        `positions [n, 3]` need not be wrapped into the cell; `cell [3, 3]`, rows are lattice vectors, None if not periodic.
        """
        displacements = self._displacements(positions, cell)
        if displacements is None:
            self._build(positions, cell)
            vectors = self._vectors
        else:
            moved = torch.from_numpy(displacements).to(self.device)
            vectors = self._vectors + moved.index_select(0, self._index[1]) - moved.index_select(0, self._index[0])
        inside = torch.nonzero(torch.linalg.vector_norm(vectors, dim=1) < self.r_max).squeeze(1)
        return vectors.index_select(0, inside), self._index.index_select(1, inside)

    def _displacements(self, positions: np.ndarray, cell: np.ndarray | None) -> np.ndarray | None:
        """Displacements `[n, 3]` since the list was built, or None if it has to be built anew."""
        if self._positions is None or not _equal(cell, self._cell):
            return None
        displacements = positions - self._positions
        farthest = np.einsum("ij,ij->i", displacements, displacements).max(initial=0.0)
        return displacements if farthest <= (self.skin / 2) ** 2 else None  # not so for NaN: the list's builder refuses it

    def _build(self, positions: np.ndarray, cell: np.ndarray | None) -> None:
        box, pbc = (np.zeros((3, 3)), np.zeros(3, bool)) if cell is None else (cell, np.ones(3, bool))
        edge_index, edge_vectors = neighbour_list(positions, box, pbc, self.r_max + self.skin)
        self._index = torch.from_numpy(edge_index).to(self.device)
        self._vectors = torch.from_numpy(edge_vectors).to(self.device)
        self._positions, self._cell = positions.copy(), cell
        self.n_builds += 1


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)
