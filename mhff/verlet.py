"""Neighbours along a trajectory: a list with a skin, rebuilt only after an atom has moved."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch

from mhff.errors import MHFFError
from mhff.neighbours import check_distances, neighbour_list

MAX_TRAJECTORIES = 16
"""Number of lists that are kept for trajectories whose steps alternate."""


class VerletList:
    """Edges shorter than `r_max`, from a list of pairs within `r_max` + `skin`, A.

    The list holds every edge while no atom has moved by more than skin / 2 since the search, in the
    same cell. In between, edge vectors follow from the displacements u: x_i - x_j changes by
    u_i - u_j, whatever the image of j. The first list in a cell has no skin: single structures and
    cells that change at every step do not benefit from one.

    Threads may share a list: each call works on one search from beginning to end.
    """

    def __init__(self, r_max: float, skin: float, device: torch.device | str = "cpu") -> None:
        self.r_max = r_max
        self.skin = skin
        self.device = device
        self.n_builds = 0
        self._pairs: _Pairs | None = None

    def edges(
        self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`edge_vectors [E, 3]`, float64, and `edge_index [2, E]`, sorted by receiver.

        Both are on the device. `mhff.neighbours.neighbour_list` describes the arguments, and what
        raises MHFFError.
        """
        pairs = self._pairs
        if pairs is None or not pairs.belong_to(len(positions), cell, pbc):
            pairs = self._search(positions, cell, pbc, skin=0.0)
        elif not pairs.hold_at(positions):
            pairs = self._search(positions, cell, pbc, self.skin)
        return pairs.edges(positions, self.r_max)

    def _search(
        self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, skin: float
    ) -> _Pairs:
        edge_index, edge_vectors = neighbour_list(positions, cell, pbc, self.r_max + skin)
        pairs = _Pairs(
            positions.copy(),
            cell.copy(),
            pbc.copy(),
            skin,
            torch.from_numpy(edge_vectors).to(self.device),
            torch.from_numpy(edge_index).to(self.device),
        )
        self.n_builds += 1
        self._pairs = pairs
        return pairs


class VerletLists:
    """Edges along several trajectories of the same atoms, if steps do not say which one is theirs.

    A step continues the trajectory that was nearest at its latest step, if no atom is farther from
    there than skin / 2; otherwise it begins a new one. A wrong guess costs a search and never an
    edge, because a list is used only where it holds. Threads may share this object.
    """

    def __init__(self, r_max: float, skin: float, device: torch.device | str = "cpu") -> None:
        self.r_max = r_max
        self.skin = skin
        self.device = device
        self._trajectories: list[_Trajectory] = []
        """The latest one last."""
        self._lock = threading.Lock()

    def edges(
        self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `VerletList.edges`."""
        with self._lock:
            trajectory = self._take_nearest(positions)
            trajectory.positions = positions.copy()
            self._trajectories.append(trajectory)
            del self._trajectories[: -MAX_TRAJECTORIES if self.skin else -1]
        return trajectory.neighbours.edges(positions, cell, pbc)

    def _take_nearest(self, positions: np.ndarray) -> _Trajectory:
        """The trajectory that these positions continue, taken from the list, or a new one."""
        near = []
        for number, known in enumerate(self._trajectories):
            distance = _farthest(positions - known.positions)
            if distance <= self.skin / 2:
                near.append((distance, number))
        if near:
            return self._trajectories.pop(min(near)[1])
        return _Trajectory(VerletList(self.r_max, self.skin, self.device), positions)


@dataclass
class _Trajectory:
    """A list, and the positions at its latest step."""

    neighbours: VerletList
    positions: np.ndarray


@dataclass(frozen=True)
class _Pairs:
    """The pairs that one search found, and the positions at that time."""

    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    skin: float
    vectors: torch.Tensor
    index: torch.Tensor

    def belong_to(self, n_atoms: int, cell: np.ndarray, pbc: np.ndarray) -> bool:
        """Whether the number of atoms and the cell are those of the search."""
        return (
            n_atoms == len(self.positions)
            and np.array_equal(pbc, self.pbc)
            and np.array_equal(cell, self.cell)
        )

    def hold_at(self, positions: np.ndarray) -> bool:
        """Whether the atoms have moved little enough; never for NaN, which a new search refuses."""
        return _farthest(positions - self.positions) <= self.skin / 2

    def edges(self, positions: np.ndarray, r_max: float) -> tuple[torch.Tensor, torch.Tensor]:
        """See `VerletList.edges`, at positions where the pairs hold."""
        if self.skin == 0:  # the positions are those of the search
            return self.vectors, self.index
        moved = torch.from_numpy(positions - self.positions).to(self.vectors.device)
        vectors = (
            self.vectors
            + moved.index_select(0, self.index[1])
            - moved.index_select(0, self.index[0])
        )
        distances = torch.linalg.vector_norm(vectors, dim=1)
        check_distances(distances, *self.index)
        inside = torch.nonzero(distances < r_max).squeeze(1)
        return vectors.index_select(0, inside), self.index.index_select(1, inside)


def _farthest(moved: np.ndarray) -> float:
    """Length of the longest of the vectors `[n, 3]`; NaN if one of them is."""
    return float(np.einsum("ij,ij->i", moved, moved).max(initial=0.0)) ** 0.5


def check_skin(skin: float, default: float) -> None:
    """Raise MHFFError unless `skin`, A, is finite and non-negative; `default` is the advice."""
    if not isinstance(skin, Real) or not 0 <= skin < float("inf"):
        raise MHFFError(
            f"expected a skin of 0 A or more, got {skin!r}; {default:g} A suits most simulations"
        )
