"""The geometry of LAMMPS: its box and positions, and bounds on the change of distances."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from lammps_data import Data, Instance, in_lammps
from structures import rattled_bulk, slab, tiny_cell, triclinic

from mhff_lammps.geometry import Build, Geometry

REACH = 6.5
"""Distance up to which pairs matter, A."""


def test_box_has_lammps_vectors_in_rows() -> None:
    atoms = in_lammps(triclinic())
    geometry = Geometry(Instance(Data(atoms, [0] * 4)))
    np.testing.assert_array_equal(geometry.cell, atoms.cell[:])
    assert geometry.pbc.tolist() == [True, True, True]


def test_no_images_along_z_in_two_dimensions() -> None:
    atoms = Atoms("OO", positions=[[0, 0, 0], [2, 0, 0]], cell=[8, 8, 1], pbc=[1, 1, 0])
    flat = Instance(Data(atoms, [0, 0]), dimension=2, periodicity=[1, 1, 1])
    assert Geometry(flat).pbc.tolist() == [True, True, False]


def test_positions_are_lammps_memory_and_follow_it_when_it_moves() -> None:
    data = Data(triclinic(), [0] * 4)
    lammps = Instance(data)
    geometry = Geometry(lammps)
    assert np.shares_memory(geometry.positions(4).numpy(), data.positions)
    other = Data(rattled_bulk(), [0] * len(rattled_bulk()))
    lammps.step(other)
    np.testing.assert_array_equal(geometry.positions(4), other.positions[:4])
    np.testing.assert_array_equal(geometry.positions(8), other.positions[:8])
    assert geometry.positions(0).shape == (0, 3)


def distances(atoms: Atoms) -> np.ndarray:
    """Distances of all pairs of atoms and images, in an order that does not depend on positions."""
    ranges = [range(-4, 5) if periodic else range(1) for periodic in atoms.pbc]
    shifts = np.array(list(product(*ranges))) @ atoms.cell[:]
    between = atoms.positions[:, None] - atoms.positions[None]
    return np.linalg.norm(between[None] + shifts[:, None, None], axis=-1)


@pytest.mark.parametrize("make", [rattled_bulk, slab, tiny_cell, triclinic])
@pytest.mark.parametrize("seed", range(5))
def test_no_distance_within_reach_changes_by_more_than_the_bound(make, seed) -> None:
    atoms = in_lammps(make())
    atoms.wrap()
    lammps = Instance(Data(atoms, [0] * len(atoms)))
    build = Build.now(Geometry(lammps), len(atoms), REACH)
    assert build.change(0.0) == 0.0
    random = np.random.default_rng(seed)
    moved = atoms.copy()
    moved.positions += random.normal(scale=0.1, size=(len(atoms), 3))
    strain = np.tril(random.normal(scale=0.03, size=(3, 3))) * (seed % 2)
    moved.cell = moved.cell[:] + atoms.cell[:] @ strain
    lammps.step(Data(moved, [0] * len(atoms)))
    before = distances(atoms)
    changes = np.abs(distances(moved) - before)[before < REACH]
    moves = np.linalg.norm(moved.positions - atoms.positions, axis=1)
    bound = build.change(moves.max())
    assert 0 < changes.max() <= bound < 40 * changes.max()
