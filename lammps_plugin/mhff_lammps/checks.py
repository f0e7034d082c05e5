"""Refusals of LAMMPS runs in which mhff's numbers would be wrong.

A model needs all pairs of its atoms within the cutoff. Several commands remove pairs from LAMMPS'
neighbour lists. mhff does not look for these commands: it compares the pairs that reach the model
with those that follow from the atoms' positions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse
import torch

from mhff.errors import MHFFError
from mhff.neighbours import (
    MIN_DISTANCE,
    check_distances,
    neighbour_list,
    points_within_reach,
)
from mhff.ops.registration import Call
from mhff_lammps.coupling import Arrays, Pairs
from mhff_lammps.instance import is_kokkos
from mhff_lammps.ranks import Ranks

ROUNDING = 1e-6
"""Distances that differ by less than this may be on different sides of the cutoff, A."""
OPEN_BOX = (np.zeros((3, 3)), np.zeros(3, dtype=bool))
"""Cell and periodic directions of atoms among which LAMMPS' ghosts are."""
ENERGY_PER_ATOM = 2
VIRIAL_PER_ATOM = 4
"""Bits of `eflag` and `vflag` with which LAMMPS asks for energies and virials per atom."""
WHEN_UNSTABLE = (
    "look at its surroundings, and check that no two atoms come close, or use a shorter time step"
)


def check_instance(lammps: Any, data: Any) -> None:
    """Raise MHFFError unless `data` may come from the instance `lammps`."""
    n_local, n_all = lammps.extract_setting("nlocal"), lammps.extract_setting("nall")
    if (n_local, n_all) != (data.nlocal, data.ntotal):
        raise MHFFError(
            f"LAMMPS evaluates {data.nlocal} atoms, but the instance that mhff knows has "
            f"{n_local}; call mhff_lammps.load_model with the instance that runs"
        )


def check_settings(data: Any) -> None:
    """Raise MHFFError for settings with which mhff's numbers would be wrong."""
    if data.natomneigh != data.nlistatoms:
        raise MHFFError(
            "expected 'pair_style mliap unified FILE 0', got 1 in place of 0: mhff needs no "
            "neighbours of ghosts"
        )


class AtomVirials:
    """Refuses virials per atom for which LAMMPS with KOKKOS has no memory.

    Its coupling gives their array the length of that of energies per atom, which grows only in
    steps in which those are asked for. It would then write beyond the end, or to nowhere.
    """

    def __init__(self) -> None:
        self._n_energies = 0

    def check(self, lammps: Any, data: Any) -> None:
        """Raise MHFFError if virials per atom are asked for and do not fit into their array."""
        if data.eflag & ENERGY_PER_ATOM:
            self._n_energies = max(self._n_energies, lammps.extract_setting("nmax"))
        wanted = data.vflag & VIRIAL_PER_ATOM
        if wanted and is_kokkos(data) and self._n_energies < data.ntotal:
            raise MHFFError(
                "expected energies per atom beside virials per atom (compute stress/atom or "
                "heat/flux), got virials alone, with which LAMMPS crashes under KOKKOS; add "
                "'compute e all pe/atom' and use c_e wherever the virials are used, or run without "
                "'-k on'"
            )


def check_tags(tags: np.ndarray) -> None:
    """Raise MHFFError unless all atoms have IDs; `tags [ntotal]`."""
    if len(tags) and tags.min() <= 0:
        raise MHFFError(
            "mhff needs atom IDs and this simulation has none; remove 'atom_modify id no' from the "
            "input"
        )


def shortest_distance(lammps: Any, arrays: Arrays) -> float:
    """The distance of the closest pair, A; infinite if there is no pair.

    Raises MHFFError, with LAMMPS' atom IDs, if two atoms or periodic images of them coincide.
    """
    pairs = arrays.pairs
    if not len(pairs.rij):
        return math.inf
    distances = torch.linalg.vector_norm(pairs.rij, dim=1)
    shortest = float(distances.min())
    if shortest < MIN_DISTANCE:
        tags = lammps.numpy.extract_atom("id")
        check_distances(
            distances.cpu().numpy(), tags[pairs.j.cpu().numpy()], tags[pairs.i.cpu().numpy()]
        )
    return shortest


def check_finite(
    lammps: Any, arrays: Arrays, total: float, energies: torch.Tensor, forces: torch.Tensor
) -> None:
    """Raise MHFFError, with an atom ID, for an energy or a force that is not a finite number.

    `energies [n]` of the listed atoms, `forces [E, 3]` of pairs, and `total`, a sum of all of them,
    which is finite only if all of its terms are.
    """
    if math.isfinite(total):
        return
    wrong = arrays.atoms[~energies.isfinite()]
    if not len(wrong):
        wrong = arrays.pairs.i[~forces.isfinite().all(1)]
    if not len(wrong):  # only the sum is too large
        return
    tags = lammps.numpy.extract_atom("id")
    raise MHFFError(
        f"expected finite numbers, got an energy or a force of atom {tags[int(wrong[0])]} that is "
        f"not finite; {WHEN_UNSTABLE}"
    )


def check_positions(lammps: Any, data: Any) -> None:
    """Raise MHFFError, with an atom ID, for an atom or ghost whose position is not finite."""
    finite = np.isfinite(lammps.numpy.extract_atom("x")[: data.ntotal]).all(1)
    if not finite.all():
        tags = lammps.numpy.extract_atom("id")
        raise MHFFError(
            f"expected finite positions, got one of atom {tags[finite.argmin()]} that is not; "
            f"{WHEN_UNSTABLE}"
        )


def check_lost(
    lammps: Any, ranks: Ranks, pbc: np.ndarray, tags: np.ndarray, tags_before: np.ndarray
) -> None:
    """Raise MHFFError, with an atom ID, if LAMMPS has lost atoms; collective.

    `pbc [3]`: periodic directions; `tags [n]`, `tags_before [m]`: IDs of this rank's atoms, and of
    those at the last rebuild of the neighbour lists. LAMMPS itself looks for lost atoms only when
    it prints thermodynamic output. They may leave a box that is not periodic, and that is left to
    LAMMPS.
    """
    n_atoms = lammps.extract_global("natoms")
    n_lost = n_atoms - ranks.total(len(tags))
    if n_lost <= 0 or not pbc.all():
        return
    lost = np.setdiff1d(ranks.of_all(tags_before), ranks.of_all(tags))
    example = f", such as atom {lost[0]}" if len(lost) else ""
    raise ranks.agreed(
        MHFFError(
            f"LAMMPS has lost {n_lost} of {n_atoms} atoms{example}, which moved too far in one "
            f"step; {WHEN_UNSTABLE}"
        )
    )


def check_pairs(
    lammps: Any,
    data: Any,
    arrays: Arrays,
    r_max: float,
    box: tuple[np.ndarray, np.ndarray] | None,
    count_pairs: Call,
) -> None:
    """Raise MHFFError unless the model gets all labelled atoms and their pairs within `r_max`, A.

    `box`: lattice vectors `[3, 3]`, A, and periodic directions `[3]`, if one rank has all atoms, so
    that their images follow; without it, LAMMPS' ghosts are taken as they are. Needed when LAMMPS
    has rebuilt its neighbour lists, and when they may be too old. `count_pairs`: as in
    `mhff.ops.pairs`.
    """
    if not data.nlocal:
        return
    check_positions(lammps, data)
    labelled = arrays.labels.cpu().numpy() >= 0
    n_labelled = int(labelled[: data.nlocal].sum())
    if data.nlistatoms != n_labelled:
        raise _missing(f"{n_labelled - data.nlistatoms} of {n_labelled} atoms")
    atoms = np.flatnonzero(labelled if box is None else labelled[: data.nlocal])
    cell, pbc = box or OPEN_BOX
    positions = lammps.numpy.extract_atom("x")[atoms]
    reach = r_max - ROUNDING
    rij = arrays.pairs.rij
    points = torch.from_numpy(points_within_reach(positions, cell, pbc, reach)).to(rij.device)
    n_given = (rij.square().sum(1) < reach**2).sum()
    if int(n_given) == int(count_pairs(points, n_labelled, reach)):
        return
    index, vectors = neighbour_list(positions, cell, pbc, reach)
    safely_inside = (index[1] < n_labelled) & (_squared(vectors) < (r_max - 2 * ROUNDING) ** 2)
    _compare(lammps, arrays.pairs, atoms[index[:, safely_inside]])


def _compare(lammps: Any, pairs: Pairs, expected_index: np.ndarray) -> None:
    """Raise MHFFError if edges of `expected_index [2, E]`, LAMMPS' indices, are not in `pairs`."""
    tags = lammps.numpy.extract_atom("id")
    given = tags[np.stack([pairs.j.cpu().numpy(), pairs.i.cpu().numpy()])]
    n_tags = int(tags.max()) + 1
    expected = _counts(tags[expected_index], n_tags)
    difference = (expected - _counts(given, n_tags)).tocoo()
    missing = difference.data > 0
    if missing.any():
        first, second = sorted((difference.row[missing][0], difference.col[missing][0]))
        raise _missing(
            f"{difference.data[missing].sum()} of {expected.sum()} pairs within the cutoff, such "
            f"as atoms {first} and {second}"
        )


def _counts(index: np.ndarray, n_tags: int) -> scipy.sparse.csr_array:
    """Number of edges in `index [2, E]` between each two atom IDs, `[n_tags, n_tags]`."""
    ones = np.ones(index.shape[1], dtype=np.int64)
    return scipy.sparse.coo_array((ones, index), shape=(n_tags, n_tags)).tocsr()


def _missing(what: str) -> MHFFError:
    return MHFFError(
        f"the model does not receive {what}, but it needs all of them; remove what excludes them: "
        "neigh_modify exclude or include, special_bonds (use 'special_bonds lj/coul 1 1 1'), or a "
        "hybrid pair_style that gives them to another style (use hybrid/overlay, or the label "
        "NULL); or let LAMMPS rebuild its lists in time (neigh_modify every 1 delay 0 check yes)"
    )


def _squared(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", vectors, vectors)
