"""Neighbours along a trajectory: pairs with a skin, searched for again only when they must be."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import cast

import numpy as np
import torch

from mhff.errors import MHFFError
from mhff.motion import Geometry
from mhff.neighbours import MIN_DISTANCE, check_distances, neighbour_pairs
from mhff.ops.lists import REFERENCE, ListOperators

KEPT_SEARCHES = 2
"""Number of searches that a list keeps: after a step that is taken back, the earlier one holds."""
INNER_SKIN = 0.25
"""Part of the skin with which pairs are picked from those of a search, to serve several steps."""

Edges = tuple[torch.Tensor, torch.Tensor]


class VerletList:
    """Edges shorter than `r_max`, from a list of pairs within `r_max` + `skin`, A.

    The list holds every edge until an atom has moved by about half the skin since the search;
    `mhff.motion` has the criterion, which allows for a cell that deforms. The first search has no
    skin, because single structures do not benefit from one. From the pairs of a search those with
    a quarter of the skin are picked, which serve until atoms have moved by an eighth of it.

    Threads may share a list: each call works on one search from beginning to end.
    """

    def __init__(
        self,
        r_max: float,
        skin: float,
        device: torch.device | str = "cpu",
        operators: ListOperators = REFERENCE,
    ) -> None:
        """`operators` in plain torch, or kernels for tensors on the CPU."""
        self.r_max = r_max
        self.skin = skin
        self.device = device
        self.operators = operators
        self.n_builds = 0
        self._searches: tuple[_Search, ...] = ()
        """The one that was used last comes first."""

    def edges(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> Edges:
        """`edge_vectors [E, 3]`, float64 unless kernels make them, and `edge_index [2, E]`.

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
        # a search holds where it was made
        return cast(Edges, self._edges(search, positions, cell, pbc))

    def known_edges(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> Edges | None:
        """The same without a search; None if no list holds there."""
        searches = self._searches
        for search in searches:
            edges = self._edges(search, positions, cell, pbc)
            if edges is not None:
                if search is not searches[0]:
                    others = [other for other in searches if other is not search]
                    self._searches = (search, *others)
                return edges
        return None

    def _continues(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> bool:
        """Whether a skin will be of use: the same atoms as in the latest search, a similar cell."""
        if not self._searches:
            return False
        motion = self._searches[0].geometry.motion_to(positions, cell, pbc)
        return motion is not None and abs(motion.stretch - 1) * self.r_max <= self.skin

    def _edges(
        self, search: _Search, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> Edges | None:
        """Edges from the pairs of a search; None if it does not hold."""
        where = torch.from_numpy(np.ascontiguousarray(positions)).to(self.device)
        known = search.selection
        settled = known is not None and known.geometry.is_like(positions, cell, pbc)
        if known is not None and settled:
            edges = self._near(known, where)
            if edges is not None:
                return edges
        selection = self._select(search, where, Geometry(positions, cell, pbc), settled)
        if selection is None:
            return None
        search.selection = selection
        return self._near(selection, where)

    def _select(
        self, search: _Search, where: torch.Tensor, geometry: Geometry, settled: bool
    ) -> _Selection | None:
        """Pairs for the next steps from this geometry; None if the search does not hold there.

        All of them unless the cell is `settled`: a barostat may take it back at the next step.
        """
        motion = search.geometry.motion_to(geometry.positions, geometry.cell, geometry.pbc)
        if motion is None:
            return None
        spare = (search.skin - motion.skin_needed(self.r_max)) / motion.stretch
        if not spare >= 0:
            return None
        images = search.images
        if motion.crossings is not None:
            images = images - motion.crossings[search.atoms.cpu()]
        shifts = torch.from_numpy(images @ motion.lattice).to(self.device)
        pairs = search.senders, search.begin
        inner = 0.0
        if settled:
            inner = min(spare, INNER_SKIN * search.skin)
            pairs = self.operators.near_pairs(
                where, search.atoms, shifts, *pairs, self.r_max + inner
            )
        return _Selection(geometry, where.clone(), search.atoms, shifts, *pairs, inner / 2)

    def _near(self, selection: _Selection, where: torch.Tensor) -> Edges | None:
        """Edges from selected pairs; None if these no longer hold every edge."""
        vectors, index, checks = self.operators.near_edges(
            where,
            selection.before,
            selection.atoms,
            selection.shifts,
            selection.senders,
            selection.begin,
            self.r_max,
            MIN_DISTANCE,
            selection.limit,
        )
        holds, too_close = checks.tolist()
        if not holds:
            return None
        if too_close:
            check_distances(torch.linalg.vector_norm(vectors, dim=1), *index)
        return vectors, index


@dataclass(frozen=True)
class _Selection:
    """Those pairs of a search that matter to the next steps in one cell."""

    geometry: Geometry
    """The geometry in which they were selected."""
    before: torch.Tensor
    """Its positions `[n, 3]`, A."""
    atoms: torch.Tensor
    """See `_Search`."""
    shifts: torch.Tensor
    """Vectors from the atoms to the points, `[n_points, 3]`, A."""
    senders: torch.Tensor
    """See `_Search`."""
    begin: torch.Tensor
    """See `_Search`."""
    limit: float
    """How far atoms may move, A."""


@dataclass
class _Search:
    """The pairs that one search found: points near the images of the atoms in the cell."""

    geometry: Geometry
    skin: float
    atoms: torch.Tensor
    """The atom of which each point is an image, `[n_points]`; the images in the cell come first."""
    images: np.ndarray
    """Lattice vectors from the atom to each point, `[n_points, n_periodic]`."""
    senders: torch.Tensor
    """The sending point of each pair, `[P]`."""
    begin: torch.Tensor
    """Where the pairs of each receiver begin and end, `[n + 1]`."""
    selection: _Selection | None = None
    """The latest."""


def _search(geometry: Geometry, r_max: float, skin: float, device: torch.device | str) -> _Search:
    """All pairs within `r_max` + `skin`."""
    n_atoms = len(geometry.positions)
    inside = geometry.positions - geometry.offsets
    sender, receiver, shifts = neighbour_pairs(inside, geometry.cell, geometry.pbc, r_max + skin)
    image = np.zeros(len(sender), dtype=np.int64)
    images = np.zeros((1, 0))
    for shift in shifts:
        image, images = _numbered(image, images, shift)
    atoms, image_of_point, senders = _points(sender, image, images, n_atoms)
    indices = atoms.astype(np.int32), senders.astype(np.int32)
    begin = np.zeros(n_atoms + 1, dtype=np.int64)
    np.bincount(receiver, minlength=n_atoms).cumsum(out=begin[1:])
    atoms_of_points, senders_of_pairs, begins = (
        torch.from_numpy(array).to(device) for array in (*indices, begin)
    )
    return _Search(
        geometry,
        skin,
        atoms_of_points,
        images[image_of_point] - geometry.images[atoms],
        senders_of_pairs,
        begins,
    )


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


def _points(
    sender: np.ndarray, image: np.ndarray, images: np.ndarray, n_atoms: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atom and image of each point `[n_points]`, and the sending point of each pair `[P]`.

    First come the atoms in the cell, then the images of atoms that pairs need.
    """
    home = int(np.flatnonzero((images == 0).all(axis=1))[0])
    needed = np.zeros((len(images), n_atoms), dtype=bool)
    needed[image, sender] = True
    needed[home] = False
    other_images, other_atoms = np.nonzero(needed)
    numbers = np.empty(needed.shape, dtype=np.int64)
    numbers[home] = np.arange(n_atoms)
    numbers[needed] = n_atoms + np.arange(len(other_atoms))
    atoms = np.concatenate([np.arange(n_atoms), other_atoms])
    image_of_point = np.concatenate([np.full(n_atoms, home), other_images])
    return atoms, image_of_point, numbers[image, sender]


def check_skin(skin: float, default: float) -> None:
    """Raise MHFFError unless `skin`, A, is finite and non-negative; `default` is the advice."""
    if not isinstance(skin, Real) or not 0 <= skin < float("inf"):
        raise MHFFError(
            f"expected a skin of 0 A or more, got {skin!r}; {default:g} A suits most simulations"
        )
