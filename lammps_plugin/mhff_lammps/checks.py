"""Refusals of LAMMPS runs in which mhff's numbers would be wrong.

A model needs all pairs of its atoms within the cutoff. Several commands remove pairs from LAMMPS'
neighbour lists. mhff does not look for these commands: it compares the pairs that reach the model
with those that follow from the atoms' positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from mhff.errors import MHFFError
from mhff.neighbours import MIN_DISTANCE, check_distances, neighbour_list

ROUNDING = 1e-6
"""Distances that differ by less than this may be on different sides of the cutoff, A."""


@dataclass(frozen=True)
class Build:
    """The geometry when LAMMPS rebuilt its neighbour lists; it tells how long the lists hold.

    By default LAMMPS rebuilds them in time, but `neigh_modify` can delay that too long.
    """

    positions: np.ndarray
    cell: np.ndarray
    skin: float

    @classmethod
    def now(cls, lammps: Any, data: Any) -> Build:
        """The geometry at this step."""
        cell, _ = periodic_box(lammps)
        return cls(_positions(lammps, data).copy(), cell, lammps.extract_global("neigh_skin"))

    def holds(self, lammps: Any, data: Any) -> bool:
        """Whether no pair can have come within the cutoff that is not in the lists."""
        cell, _ = periodic_box(lammps)
        moved = _squared(_positions(lammps, data) - self.positions).max(initial=0.0) ** 0.5
        return bool(2 * moved + np.abs(cell - self.cell).sum() <= self.skin)


def check_coupling(data: Any) -> None:
    """Raise MHFFError for data of LAMMPS' KOKKOS coupling, whose arrays differ."""
    if "kokkos" in type(data).__module__:
        raise MHFFError(
            "mhff does not run with LAMMPS' KOKKOS package yet; leave out '-sf kk' and 'suffix kk'"
        )


def check_instance(lammps: Any, data: Any) -> None:
    """Raise MHFFError unless `data` may come from the instance `lammps`."""
    n_local, n_all = lammps.extract_setting("nlocal"), lammps.extract_setting("nall")
    if (n_local, n_all) != (data.nlocal, data.ntotal):
        raise MHFFError(
            f"LAMMPS evaluates {data.nlocal} atoms, but the instance that mhff knows has "
            f"{n_local}; call mhff_lammps.load_model with the instance that runs"
        )


def check_settings(lammps: Any, data: Any) -> None:
    """Raise MHFFError for settings with which mhff's numbers would be wrong."""
    n_ranks = lammps.extract_setting("world_size")
    if n_ranks > 1:
        raise MHFFError(
            f"mhff supports a single MPI rank, but this run uses {n_ranks}; start it with one, as "
            "mpiexec -n 1 lmp"
        )
    units = lammps.extract_global("units")
    if units != "metal":
        raise MHFFError(
            f"expected 'units metal' (eV, A, bar), got 'units {units}'; change the input and its "
            "numbers"
        )
    if data.natomneigh != data.nlistatoms:
        raise MHFFError(
            "expected 'pair_style mliap unified FILE 0', got 1 in place of 0: mhff needs no "
            "neighbours of ghosts"
        )


def check_coincidence(lammps: Any, data: Any) -> None:
    """Raise MHFFError, with LAMMPS' atom IDs, if two atoms or periodic images of them coincide."""
    if not data.npairs:
        return
    squared_distances = _squared(data.rij)
    if squared_distances.min() < MIN_DISTANCE**2:
        tags = lammps.numpy.extract_atom("id")
        check_distances(np.sqrt(squared_distances), tags[data.pair_j], tags[data.pair_i])


def check_pairs(lammps: Any, data: Any, owners: np.ndarray, r_max: float) -> None:
    """Raise MHFFError unless `data` has all atoms with labels and their pairs within `r_max`, A.

    `owners [ntotal]` is the local atom that each atom is an image of. Needed when LAMMPS has
    rebuilt its neighbour lists, and when `Build.holds` says that they may be too old.
    """
    if not data.nlocal:
        return
    atoms = np.flatnonzero(data.elems[: data.nlocal] >= 0)
    if data.nlistatoms != len(atoms):
        raise _missing(f"{len(atoms) - data.nlistatoms} of {len(atoms)} atoms")
    positions = lammps.numpy.extract_atom("x")[atoms]
    index, vectors = neighbour_list(positions, *periodic_box(lammps), r_max - ROUNDING)
    n_given = int((_squared(data.rij) < (r_max - ROUNDING) ** 2).sum()) if data.npairs else 0
    if n_given != index.shape[1]:
        safely_inside = _squared(vectors) < (r_max - 2 * ROUNDING) ** 2
        _compare(lammps, data, owners, atoms[index[:, safely_inside]])


def _compare(lammps: Any, data: Any, owners: np.ndarray, expected_index: np.ndarray) -> None:
    """Raise MHFFError if `data` lacks edges of `expected_index [2, E]`, which hold local atoms."""
    given_index = np.zeros((2, 0), dtype=np.int64)
    if data.npairs:
        given_index = np.stack([owners[data.pair_j], data.pair_i])
    expected = _counts(expected_index, data.nlocal)
    difference = (expected - _counts(given_index, data.nlocal)).tocoo()
    missing = difference.data > 0
    if missing.any():
        tags = lammps.numpy.extract_atom("id")
        first, second = sorted(tags[[difference.row[missing][0], difference.col[missing][0]]])
        raise _missing(
            f"{difference.data[missing].sum()} of {expected.sum()} pairs within the cutoff, such "
            f"as atoms {first} and {second}"
        )


def _counts(index: np.ndarray, n_atoms: int) -> scipy.sparse.csr_array:
    """Number of edges in `index [2, E]` between each two atoms, `[n_atoms, n_atoms]`."""
    ones = np.ones(index.shape[1], dtype=np.int64)
    return scipy.sparse.coo_array((ones, index), shape=(n_atoms, n_atoms)).tocsr()


def _missing(what: str) -> MHFFError:
    return MHFFError(
        f"the model does not receive {what}, but it needs all of them; remove what excludes them: "
        "neigh_modify exclude or include, special_bonds (use 'special_bonds lj/coul 1 1 1'), or a "
        "hybrid pair_style that gives them to another style (use hybrid/overlay, or the label "
        "NULL); or let LAMMPS rebuild its lists in time (neigh_modify every 1 delay 0 check yes)"
    )


def periodic_box(lammps: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lattice vectors in rows `[3, 3]`, A, and periodic directions `[3]` of the simulation box.

    With `dimension 2`, LAMMPS calls z periodic but makes no images along it.
    """
    low, high, xy, yz, xz, periodic, _ = lammps.extract_box()
    cell = np.diag(np.subtract(high, low))
    cell[1, 0] = xy
    cell[2, :2] = xz, yz
    pbc = np.array(periodic, dtype=bool)
    pbc[lammps.extract_setting("dimension") :] = False
    return cell, pbc


def _positions(lammps: Any, data: Any) -> np.ndarray:
    """Positions of the local atoms `[nlocal, 3]`, A; not a copy."""
    if not data.nlocal:
        return np.zeros((0, 3))
    positions: np.ndarray = lammps.numpy.extract_atom("x")[: data.nlocal]
    return positions


def _squared(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", vectors, vectors)
