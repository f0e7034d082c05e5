"""Structures in LAMMPS' orientation: the same physics, and the form that LAMMPS requires."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from structures import STRUCTURES, slab, triclinic, water_cluster, wire
from tolerances import ROUNDING, assert_close

from mhff.atoms import geometry
from mhff.neighbours import neighbour_list
from mhff_lammps.inputs.box import PADDING, Box, place

CUTOFF = 4.5
HALF = 0.5 + 1e-9


def lattice_of(box: Box) -> np.ndarray:
    lattice = np.diag(box.high - box.low)
    lattice[1, 0], lattice[2, 0], lattice[2, 1] = box.tilts
    return lattice


def distances(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Sorted distances of all pairs within the cutoff."""
    _, vectors = neighbour_list(positions, cell, pbc, CUTOFF)
    return np.sort(np.linalg.norm(vectors, axis=1))


@pytest.mark.parametrize(
    "build", [build for name, build in STRUCTURES.items() if name != "no_atoms"]
)
def test_the_same_structure_in_lammps_form(build: Callable[[], Atoms]) -> None:
    atoms = build()
    placement = place(atoms)
    box = placement.box
    lattice = lattice_of(box)
    expected = distances(*geometry(atoms))
    assert_close(distances(placement.positions, lattice, box.pbc), expected, ROUNDING)
    assert_close(placement.rotation @ placement.rotation.T, np.eye(3), ROUNDING)
    assert_close(np.linalg.det(placement.rotation), 1.0, ROUNDING)
    edges = np.diag(lattice)
    assert (edges > 0).all()
    assert (np.abs(box.tilts) <= HALF * edges[[0, 0, 1]]).all()
    if atoms.pbc.all():
        assert_close(np.linalg.det(lattice), atoms.get_volume(), ROUNDING)


@pytest.mark.parametrize("pbc", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_open_directions_have_no_tilt(pbc: tuple[int, int, int]) -> None:
    """LAMMPS refuses tilts along them."""
    atoms = triclinic()
    atoms.pbc = pbc
    placement = place(atoms)
    box = placement.box
    is_tilted = box.tilts != 0
    for axis in np.flatnonzero(~box.pbc):
        axes_of_tilts = np.array([(0, 1), (0, 2), (1, 2)])
        assert not is_tilted[(axes_of_tilts == axis).any(1)].any()
        assert (placement.positions[:, axis] >= box.low[axis]).all()
        assert (placement.positions[:, axis] <= box.high[axis]).all()
    expected = distances(*geometry(atoms))
    assert_close(distances(placement.positions, lattice_of(box), box.pbc), expected, ROUNDING)


def test_a_structure_in_lammps_form_is_left_alone() -> None:
    atoms = slab()
    placement = place(atoms)
    assert (placement.rotation == np.eye(3)).all()
    assert (placement.positions == atoms.positions).all()
    assert not placement.box.is_triclinic


def test_the_cell_bounds_an_open_direction_if_there_is_one() -> None:
    box = place(slab()).box
    assert (box.low[2], box.high[2]) == (0.0, slab().cell[2, 2])


@pytest.mark.parametrize("build", [wire, water_cluster])
def test_otherwise_the_atoms_bound_it(build: Callable[[], Atoms]) -> None:
    atoms = build()
    placement = place(atoms)
    for axis in np.flatnonzero(~atoms.pbc):
        coordinates = placement.positions[:, axis]
        assert placement.box.low[axis] == coordinates.min() - PADDING
        assert placement.box.high[axis] == coordinates.max() + PADDING


def test_a_flat_cell_along_an_open_direction_gives_a_box() -> None:
    """A third vector within the plane of the others is no height."""
    sheet = Atoms("CC", [[0, 0, 0], [1.4, 0, 0]], cell=[[2.5, 0, 0], [0, 4.2, 0], [0, 3, 0]])
    sheet.pbc = (True, True, False)
    box = place(sheet).box
    assert (box.low[2], box.high[2]) == (-PADDING, PADDING)


def test_rounding_does_not_tilt_a_box() -> None:
    atoms = triclinic()
    atoms.set_cell([4.0, 5.0, 6.0])
    atoms.rotate(33, (1, 2, 3), rotate_cell=True)
    assert not place(atoms).box.is_triclinic
