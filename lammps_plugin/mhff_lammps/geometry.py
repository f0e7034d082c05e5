"""LAMMPS' box and positions, and how much they have changed since it rebuilt its neighbour lists.

They are read from LAMMPS' memory at every step. Its Python module would need 0.1 ms for that.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

EXTRACT = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
"""The type of LAMMPS' C functions that look up a name: instance, name -> address."""
NO_POSITIONS = torch.zeros((0, 3), dtype=torch.float64)


class Geometry:
    """The box and the positions of an instance; valid until its command `clear`."""

    def __init__(self, lammps: Any) -> None:
        self._instance = lammps.lmp
        self._extract_atom = ctypes.cast(lammps.lib.lammps_extract_atom, EXTRACT)
        extract_global = ctypes.cast(lammps.lib.lammps_extract_global, EXTRACT)

        def read(kind: Any, name: str, n: int) -> Any:
            return (kind * n).from_address(extract_global(self._instance, name.encode()))

        self._low = read(ctypes.c_double, "boxlo", 3)
        self._high = read(ctypes.c_double, "boxhi", 3)
        self._tilts = [read(ctypes.c_double, name, 1) for name in ("xy", "xz", "yz")]
        self.pbc = np.array(read(ctypes.c_int, "periodicity", 3), dtype=bool)
        """Periodic directions, `[3]`."""
        # with `dimension 2`, LAMMPS calls z periodic but makes no images along it
        self.pbc[lammps.extract_setting("dimension") :] = False
        self._view = NO_POSITIONS
        self._key = (0, 0)

    @property
    def box(self) -> tuple[float, ...]:
        """Low and high bounds and the tilts xy, xz and yz, A."""
        return (*self._low, *self._high, *(tilt[0] for tilt in self._tilts))

    @property
    def cell(self) -> np.ndarray:
        """Lattice vectors in rows, `[3, 3]`, A."""
        return cell_of(self.box)

    def positions(self, n_atoms: int) -> torch.Tensor:
        """Positions of the first atoms `[n_atoms, 3]`, A, ghosts behind local atoms; not a copy."""
        if not n_atoms:  # LAMMPS has no array then
            return NO_POSITIONS
        # the call makes KOKKOS bring positions to the host
        rows = self._extract_atom(self._instance, b"x")
        first = ctypes.c_size_t.from_address(rows).value
        if self._key != (first, n_atoms):
            memory = (ctypes.c_double * (3 * n_atoms)).from_address(first)
            self._view = torch.from_numpy(np.ctypeslib.as_array(memory).reshape(n_atoms, 3))
            self._key = (first, n_atoms)
        return self._view


def cell_of(box: tuple[float, ...]) -> np.ndarray:
    """Lattice vectors in rows, `[3, 3]`, of a `Geometry.box`."""
    low, high = box[:3], box[3:6]
    xy, xz, yz = box[6:]
    cell = np.diag(np.subtract(high, low))
    cell[1, 0] = xy
    cell[2, :2] = xz, yz
    return cell


@dataclass(frozen=True)
class Build:
    """The geometry when LAMMPS rebuilt its neighbour lists; it tells what must be checked again.

    By default LAMMPS rebuilds its lists in time, but `neigh_modify` can delay that too long.
    """

    geometry: Geometry
    positions: torch.Tensor
    """Positions of this rank's atoms, `[n_local, 3]`, A."""
    box: tuple[float, ...]
    n_images: np.ndarray
    """Largest number of lattice vectors between two atoms within reach, in each direction `[3]`."""

    @classmethod
    def now(cls, geometry: Geometry, n_local: int, reach: float) -> Build:
        """The geometry at this step; atoms within `reach`, A, of each other matter."""
        box = geometry.box
        cell = cell_of(box)
        areas = np.linalg.norm(np.cross(np.roll(cell, -1, 0), np.roll(cell, -2, 0)), axis=1)
        heights = np.abs(np.linalg.det(cell)) / areas
        n_images = np.where(geometry.pbc, reach // heights + 1, 0)
        return cls(geometry, geometry.positions(n_local).clone(), box, n_images)

    def change(self, moved: float) -> float:
        """An upper bound on the change of any distance since then, A.

        Of two atoms, this rank has the one that moved more; `moved` is the longest way of its own
        atoms, A. The images between them move with the box.
        """
        box = self.geometry.box
        if box == self.box:
            return 2 * moved
        of_images = np.linalg.norm(cell_of(box) - cell_of(self.box), axis=1)
        return 2 * moved + float(self.n_images @ of_images)
