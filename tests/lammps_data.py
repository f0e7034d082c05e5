"""Stand-ins for what LAMMPS hands to a model, so that the adapter is tested without LAMMPS."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
from ase import Atoms

R_MAX = 4.5
"""Cutoff radius, A."""
NULL = -1
"""LAMMPS' label of atoms that another pair style acts on."""
N_IMAGES = 2
"""Periodic images in each direction; enough for cells wider than half the cutoff."""


class Data:
    """LAMMPS' data of a structure: local atoms, all their images as ghosts, and the pairs.

    Like LAMMPS', it raises ValueError when an array is read that has no elements.
    """

    def __init__(
        self, atoms: Atoms, labels: Sequence[int], r_max: float = R_MAX, vflag: int = 0
    ) -> None:
        n_atoms = len(atoms)
        periodic = [range(-N_IMAGES, N_IMAGES + 1) if axis else range(1) for axis in atoms.pbc]
        shifts = sorted(product(*periodic), key=lambda shift: shift != (0, 0, 0))
        images = [atoms.positions + np.array(shift) @ atoms.cell[:] for shift in shifts]
        self.atoms = atoms
        self.vflag = vflag
        self.positions = np.concatenate(images) if n_atoms else np.zeros((0, 3))
        self.tags = np.tile(np.arange(n_atoms, 0, -1, dtype=np.int32), len(shifts))
        self.nlocal = n_atoms
        self.ntotal = len(self.tags)
        self._elems = np.tile(np.array(labels, dtype=np.int32), len(shifts))
        self._iatoms = np.flatnonzero(self._elems[:n_atoms] != NULL)[::-1].astype(np.int32)
        pairs = [
            (i, j, self.positions[j] - self.positions[i])
            for i in self._iatoms
            for j in np.flatnonzero(self._elems != NULL)
            if i != j and np.linalg.norm(self.positions[j] - self.positions[i]) < r_max
        ]
        self._pair_i = np.array([i for i, _, _ in pairs], dtype=np.int32)
        self._pair_j = np.array([j for _, j, _ in pairs], dtype=np.int32)
        self._rij = np.array([vector for _, _, vector in pairs]).reshape(-1, 3)
        self.natomneigh = self.nlistatoms

    @property
    def nlistatoms(self) -> int:
        return len(self._iatoms)

    @property
    def npairs(self) -> int:
        return len(self._pair_i)

    @property
    def iatoms(self) -> np.ndarray:
        return _not_empty(self._iatoms)

    @property
    def elems(self) -> np.ndarray:
        return _not_empty(self._elems)

    @property
    def pair_i(self) -> np.ndarray:
        return _not_empty(self._pair_i)

    @property
    def pair_j(self) -> np.ndarray:
        return _not_empty(self._pair_j)

    @property
    def rij(self) -> np.ndarray:
        return _not_empty(self._rij)

    def keep_pairs(self, kept: np.ndarray) -> None:
        """Exclude pairs, as LAMMPS' commands do; `kept [npairs]`."""
        self._pair_i = self._pair_i[kept]
        self._pair_j = self._pair_j[kept]
        self._rij = self._rij[kept]

    def keep_atoms(self, kept: np.ndarray) -> None:
        """Exclude atoms from the list, as `neigh_modify include` does; `kept [nlistatoms]`."""
        self._iatoms = self._iatoms[kept]

    def relabel(self, labels: Sequence[int]) -> None:
        """Give the local atoms other labels, as `pair_coeff` does."""
        self._elems = np.tile(np.array(labels, dtype=np.int32), self.ntotal // self.nlocal)

    def update_pair_forces(self, gradients: np.ndarray) -> None:
        assert gradients.flags.c_contiguous
        assert gradients.dtype == np.float64
        assert self.npairs
        self.pair_forces = gradients


def _not_empty(array: np.ndarray) -> np.ndarray:
    if not len(array):
        raise ValueError("Invalid shape in axis 0: 0.")
    return array


def instance(data: Data, vectors: Mapping[str, np.ndarray] = {}, **changes: Any) -> Any:
    """The `lammps.lammps` object that `data` comes from; `changes` of its settings, by name.

    `vectors`: float64, by name, as `fix property/atom` makes them.
    """
    values = {
        "nlocal": data.nlocal,
        "nall": data.ntotal,
        "natoms": data.nlocal,
        "neigh_ago": 0,
        "neigh_skin": 2.0,
        "dimension": 3,
        "world_size": 1,
        "units": "metal",
    } | changes
    lengths = data.atoms.cell.lengths() if data.atoms.cell.rank == 3 else np.full(3, 100.0)
    cell = data.atoms.cell[:] if data.atoms.cell.rank == 3 else np.diag(lengths)
    tilts = (cell[1, 0], cell[2, 1], cell[2, 0])
    box = ([0.0] * 3, cell.diagonal().tolist(), *tilts, data.atoms.pbc.astype(int).tolist(), 0)
    arrays = {"id": data.tags, "x": data.positions}
    addresses = {
        name: vector.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        for name, vector in vectors.items()
    }
    return SimpleNamespace(
        extract_atom=addresses.get,
        extract_setting=values.__getitem__,
        extract_global=values.__getitem__,
        extract_box=lambda: box,
        find_pair_neighlist=lambda style, exact, nsub: 0,
        numpy=SimpleNamespace(extract_atom=arrays.__getitem__),
    )


def in_lammps(atoms: Atoms) -> Atoms:
    """The structure in LAMMPS' orientation: a along x, b in the xy plane."""
    if atoms.cell.rank < 3:
        return atoms
    cell, rotation = atoms.cell.standard_form()
    return Atoms(atoms.symbols, positions=atoms.positions @ rotation.T, cell=cell, pbc=atoms.pbc)
