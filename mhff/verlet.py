"""Neighbours along a trajectory: pairs with a skin, searched for again only when they must be."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch

from mhff.errors import MHFFError
from mhff.motion import Geometry
from mhff.neighbours import MIN_DISTANCE, check_distances, neighbour_pairs
from mhff.ops.lists import NearPairs, near_pairs

MAX_TRAJECTORIES = 16
"""Number of trajectories whose lists are kept while their steps alternate."""
KEPT_SEARCHES = 2
"""Number of searches that a list keeps: after a step that is taken back, the earlier one holds."""

Edges = tuple[torch.Tensor, torch.Tensor]


class VerletList:
    """Edges shorter than `r_max`, from a list of pairs within `r_max` + `skin`, A.

    The list holds every edge until an atom has moved by about half the skin since the search;
    `mhff.motion` has the criterion, which allows for a cell that deforms. The first search has no
    skin, because single structures do not benefit from one.

    Threads may share a list: each call works on one search from beginning to end.
    """

    def __init__(
        self,
        r_max: float,
        skin: float,
        device: torch.device | str = "cpu",
        near: NearPairs = near_pairs,
    ) -> None:
        """`near` picks the edges among the pairs: `mhff.ops.lists.near_pairs` or a kernel."""
        self.r_max = r_max
        self.skin = skin
        self.device = device
        self.near = near
        self.n_builds = 0
        self._searches: tuple[_Search, ...] = ()
        """The one that was used last comes first."""

    def edges(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> Edges:
        """`edge_vectors [E, 3]`, float64 unless `near` is a kernel, and `edge_index [2, E]`.

        Edges are sorted by receiver, and both are on the device. `mhff.neighbours.neighbour_list`
        describes the arguments, and what raises MHFFError.
        """
        known = self.known_edges(positions, cell, pbc)
        if known is not None:
            return known
        skin = self.skin if self._continues(positions, cell, pbc) else 0.0
        search = _search(Geometry(positions, cell, pbc), self.r_max, skin, self.device)
        self.n_builds += 1
        self._searches = (search, *self._searches[: KEPT_SEARCHES - 1])
        return self._edges(search, positions, search.geometry.lattice, None)

    def known_edges(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> Edges | None:
        """The same without a search; None if no list holds there."""
        searches = self._searches
        for search in searches:
            motion = search.geometry.motion_to(positions, cell, pbc)
            if motion is not None and motion.skin_needed(self.r_max) <= search.skin:
                if search is not searches[0]:
                    others = [other for other in searches if other is not search]
                    self._searches = (search, *others)
                return self._edges(search, positions, motion.lattice, motion.crossings)
        return None

    def _continues(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> bool:
        """Whether a skin will be of use: the same atoms as in the latest search, a similar cell."""
        if not self._searches:
            return False
        motion = self._searches[0].geometry.motion_to(positions, cell, pbc)
        return motion is not None and abs(motion.stretch - 1) * self.r_max <= self.skin

    def _edges(
        self,
        search: _Search,
        positions: np.ndarray,
        lattice: np.ndarray,
        crossings: np.ndarray | None,
    ) -> Edges:
        """Edges at positions where a search holds; `lattice` and `crossings` as in `Motion`."""
        geometry = search.geometry
        offsets = geometry.offsets
        shifts = search.shifts
        if lattice is not geometry.lattice:
            offsets = geometry.images @ lattice
            shifts = torch.from_numpy(search.images @ lattice).to(self.device)
        if crossings is not None:
            offsets = offsets + crossings @ lattice
        where = torch.from_numpy(positions - offsets).to(self.device)
        vectors, index, n_too_close = self.near(
            where, search.pairs, shifts, self.r_max, MIN_DISTANCE
        )
        if n_too_close:
            sender, receiver, image = search.pairs
            apart = where[receiver] - where[sender] - shifts[image]
            check_distances(torch.linalg.vector_norm(apart, dim=1), sender, receiver)
        return vectors, index


@dataclass(frozen=True)
class _Search:
    """The pairs that one search found.

    They are pairs of the atoms' images in the cell.
    """

    geometry: Geometry
    skin: float
    pairs: torch.Tensor
    """Sender, receiver and image of the sender, `[3, P]`, int32."""
    images: np.ndarray
    """By how many lattice vectors each image is shifted, `[n_images, n_periodic]`."""
    shifts: torch.Tensor
    """The same in the cell of the search, `[n_images, 3]`, A."""


def _search(geometry: Geometry, r_max: float, skin: float, device: torch.device | str) -> _Search:
    """All pairs within `r_max` + `skin`."""
    inside = geometry.positions - geometry.offsets
    sender, receiver, shifts = neighbour_pairs(inside, geometry.cell, geometry.pbc, r_max + skin)
    pairs = np.zeros((3, len(sender)), dtype=np.int32)
    pairs[0] = sender
    pairs[1] = receiver
    images = np.zeros((1, 0))
    for shift in shifts:
        pairs[2], images = _numbered(pairs[2], images, shift)
    vectors = torch.from_numpy(images @ geometry.lattice).to(device)
    return _Search(geometry, skin, torch.from_numpy(pairs).to(device), images, vectors)


def _numbered(
    image: np.ndarray, images: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Number of each pair's image `[P]`, and the images, with one more direction.

    `shift [P]` are lattice vectors along that direction. All images in their range are numbered,
    occupied or not, so that nothing need be sorted.
    """
    lowest = shift.min(initial=0)
    along = np.arange(lowest, shift.max(initial=0) + 1.0)
    known = np.repeat(images, len(along), axis=0)
    new = np.tile(along, len(images))
    return image * len(along) + (shift - lowest), np.column_stack([known, new])


class VerletLists:
    """Edges along several trajectories of the same atoms, if steps do not say which one is theirs.

    Any list that holds will do. If none does, a step continues the trajectory whose latest step is
    nearest, if a list made there would hold; otherwise it begins a new one. A wrong guess costs a
    search and never an edge. Threads may share this object.
    """

    def __init__(
        self,
        r_max: float,
        skin: float,
        device: torch.device | str = "cpu",
        near: NearPairs = near_pairs,
    ) -> None:
        """See `VerletList`."""
        self.r_max = r_max
        self.skin = skin
        self.device = device
        self.near = near
        self._trajectories: list[_Trajectory] = []
        """The one with the latest step comes first."""
        self._lock = threading.Lock()

    def edges(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> Edges:
        """See `VerletList.edges`."""
        with self._lock:
            trajectories = tuple(self._trajectories)
        for trajectory in trajectories:
            edges = trajectory.neighbours.known_edges(positions, cell, pbc)
            if edges is not None:
                break
        else:
            trajectory = self._continued(trajectories, positions, cell, pbc)
            edges = trajectory.neighbours.edges(positions, cell, pbc)
        trajectory.latest = Geometry(positions, cell, pbc)
        with self._lock:
            others = [other for other in self._trajectories if other is not trajectory]
            self._trajectories = [trajectory, *others][: MAX_TRAJECTORIES if self.skin else 1]
        return edges

    def _continued(
        self,
        trajectories: Iterable[_Trajectory],
        positions: np.ndarray,
        cell: np.ndarray,
        pbc: np.ndarray,
    ) -> _Trajectory:
        """The trajectory that this step continues, or a new one."""
        nearest = self.skin
        found = None
        for trajectory in trajectories:
            motion = trajectory.latest.motion_to(positions, cell, pbc)
            if motion is not None and motion.skin_needed(self.r_max) <= nearest:
                nearest = motion.skin_needed(self.r_max)
                found = trajectory
        return found or _Trajectory(
            VerletList(self.r_max, self.skin, self.device, self.near),
            Geometry(positions, cell, pbc),
        )


@dataclass
class _Trajectory:
    """A list, and the geometry of its latest step."""

    neighbours: VerletList
    latest: Geometry


def check_skin(skin: float, default: float) -> None:
    """Raise MHFFError unless `skin`, A, is finite and non-negative; `default` is the advice."""
    if not isinstance(skin, Real) or not 0 <= skin < float("inf"):
        raise MHFFError(
            f"expected a skin of 0 A or more, got {skin!r}; {default:g} A suits most simulations"
        )
