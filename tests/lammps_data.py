"""Stand-ins for what LAMMPS hands to a model, so that the adapter is tested without LAMMPS."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
from ase import Atoms

from mhff_lammps.geometry import EXTRACT

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
        self.eflag = 0
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


class Instance:
    """The `lammps.lammps` object that `data` comes from; `changes` of its settings, by name.

    `vectors`: float64, by name, as `fix property/atom` makes them.
    """

    lmp = None

    def __init__(self, data: Data, vectors: Mapping[str, np.ndarray] = {}, **changes: Any) -> None:
        self._memory = {
            "boxlo": np.zeros(3),
            "boxhi": np.zeros(3),
            "xy": np.zeros(1),
            "xz": np.zeros(1),
            "yz": np.zeros(1),
            "periodicity": np.zeros(3, dtype=np.int32),
        }
        self._vectors = vectors
        self.lib = SimpleNamespace(
            lammps_extract_atom=EXTRACT(self._rows), lammps_extract_global=EXTRACT(self._global)
        )
        self.step(data, **changes)

    def step(self, data: Data, **changes: Any) -> Instance:
        """Go on with other atoms and settings, in the same memory."""
        self.data = data
        self._settings = {
            "nlocal": data.nlocal,
            "nall": data.ntotal,
            "natoms": data.nlocal,
            "neigh_ago": 0,
            "neigh_skin": 2.0,
            "dimension": 3,
            "world_size": 1,
            "units": "metal",
        } | changes
        given = data.atoms.cell[:]
        cell = given if data.atoms.cell.rank == 3 else np.diag(np.full(3, 100.0))
        self._memory["boxhi"][:] = cell.diagonal()
        self._memory["xy"][:] = cell[1, 0]
        self._memory["xz"][:], self._memory["yz"][:] = cell[2, :2]
        self._memory["periodicity"][:] = changes.get("periodicity", data.atoms.pbc)
        arrays = {"id": data.tags, "x": data.positions}
        self.numpy = SimpleNamespace(extract_atom=arrays.__getitem__)
        self._first_row = ctypes.c_void_p(data.positions.ctypes.data)
        return self

    def _rows(self, _: Any, name: bytes) -> int:
        assert name == b"x"
        return ctypes.addressof(self._first_row)

    def _global(self, _: Any, name: bytes) -> int:
        return self._memory[name.decode()].ctypes.data

    def extract_atom(self, name: str) -> Any:
        vector = self._vectors.get(name)
        return None if vector is None else vector.ctypes.data_as(ctypes.POINTER(ctypes.c_double))

    def extract_setting(self, name: str) -> Any:
        return self._settings[name]

    def extract_global(self, name: str) -> Any:
        return self._settings[name]

    def find_pair_neighlist(self, style: str, exact: bool, nsub: int) -> int:
        return 0


def in_lammps(atoms: Atoms) -> Atoms:
    """The structure in LAMMPS' orientation: a along x, b in the xy plane."""
    if atoms.cell.rank < 3:
        return atoms
    cell, rotation = atoms.cell.standard_form()
    return Atoms(atoms.symbols, positions=atoms.positions @ rotation.T, cell=cell, pbc=atoms.pbc)
