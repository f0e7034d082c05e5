"""The skin that a motion needs is a bound: no pair within it was farther apart than it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mhff.motion import Geometry

R_MAX = 3.0
ROUNDING = 1e-10
"""A."""
CUBE = 6.0 * np.eye(3)
PERIODIC = np.ones(3, bool)
OPEN = np.zeros(3, bool)


@given(
    seed=st.integers(0, 2**32 - 1),
    strain=st.sampled_from([0.0, 1e-3, 0.05, 0.1]),
    basis=st.sampled_from([np.eye(3), [[1, 0, 0], [-1, 1, 0], [0, 2, 1]]]),
)
@settings(max_examples=100, deadline=None)
def test_no_pair_was_farther_apart_than_the_skin_allows(
    seed: int, strain: float, basis: np.ndarray
) -> None:
    """Atoms move, the cell deforms or is replaced by another one, and some atoms are wrapped."""
    rng = np.random.default_rng(seed)
    cell = CUBE + rng.normal(0, 0.5, (3, 3))
    positions = rng.uniform(-9, 9, (8, 3))
    deformation = np.eye(3) + rng.normal(0, strain, (3, 3))
    deformed = np.array(basis) @ cell @ deformation
    images = rng.integers(-2, 3, positions.shape) * (rng.random((8, 1)) < 0.5)
    moved = positions @ deformation + rng.normal(0, 0.1, positions.shape)
    motion = Geometry(positions, cell, PERIODIC).motion_to(
        moved + images @ deformed, deformed, PERIODIC
    )
    assume(motion is not None)
    present = moved + images @ deformed
    if motion.crossings is not None:
        present -= motion.crossings @ motion.lattice
    shift = rng.integers(-1, 2, 3)
    for i in range(8):
        now = np.linalg.norm(present[i] - present - shift @ motion.lattice, axis=1)
        before = np.linalg.norm(positions[i] - positions - shift @ cell, axis=1)
        near = now < R_MAX
        assert (before[near] <= R_MAX + motion.skin_needed(R_MAX) + ROUNDING).all()


@pytest.mark.parametrize(
    ("scale", "needed"),
    [(1.0, 0.0), (0.99, R_MAX * (1 / 0.99 - 1)), (1.01, R_MAX * (1 / 1.01 - 1))],
)
def test_a_box_that_scales_with_its_atoms_needs_little(scale: float, needed: float) -> None:
    """Expansion even leaves room for displacements; the size of the box does not matter."""
    positions = np.random.default_rng(0).uniform(0, 1000, (20, 3))
    cell = 1000 * np.eye(3)
    motion = Geometry(positions, cell, PERIODIC).motion_to(
        scale * positions, scale * cell, PERIODIC
    )
    assert motion is not None
    assert motion.skin_needed(R_MAX) == pytest.approx(needed, abs=ROUNDING)


def test_rotation_and_wrapping_need_nothing() -> None:
    positions = np.random.default_rng(0).uniform(0, 6, (20, 3))
    rotation, _ = np.linalg.qr(np.eye(3) + np.random.default_rng(1).normal(0, 0.05, (3, 3)))
    rotation *= np.sign(np.diag(rotation))
    images = np.random.default_rng(2).integers(-3, 4, positions.shape)
    motion = Geometry(positions, CUBE, PERIODIC).motion_to(
        (positions + images @ CUBE) @ rotation, CUBE @ rotation, PERIODIC
    )
    assert motion is not None
    assert motion.skin_needed(R_MAX) == pytest.approx(0, abs=ROUNDING)
    assert (motion.crossings == images).all()


def test_another_cell_of_the_same_lattice_needs_nothing() -> None:
    """A lattice vector is added to another one, and atoms are wrapped into the new cell."""
    positions = np.random.default_rng(0).uniform(0, 6, (20, 3))
    other = np.array([[1.0, 0, 0], [-1, 1, 0], [0, -1, 1]]) @ CUBE
    wrapped = positions - np.floor(positions @ np.linalg.inv(other)) @ other
    motion = Geometry(positions, CUBE, PERIODIC).motion_to(wrapped, other, PERIODIC)
    assert motion is not None
    assert motion.skin_needed(R_MAX) == pytest.approx(0, abs=ROUNDING)
    assert np.abs(motion.lattice - CUBE).max() < ROUNDING


def test_displacements_count_twice() -> None:
    positions = np.zeros((3, 3))
    moved = np.array([[0, 0, 0], [0.3, 0, 0.4], [0.1, 0, 0]])
    motion = Geometry(positions, np.zeros((3, 3)), OPEN).motion_to(moved, np.zeros((3, 3)), OPEN)
    assert motion is not None
    assert motion.skin_needed(R_MAX) == pytest.approx(1.0)
    assert motion.crossings is None


@pytest.mark.parametrize(
    ("n_atoms", "cell", "pbc"),
    [
        (3, CUBE, PERIODIC),
        (2, CUBE, np.array([True, True, False])),
        (2, np.diag([6.0, 6.0, 0.0]), PERIODIC),
        (2, np.diag([6.0, 6.0, np.nan]), PERIODIC),
    ],
)
def test_what_is_no_motion(n_atoms: int, cell: np.ndarray, pbc: np.ndarray) -> None:
    """Other atoms, other periodic directions, no cell."""
    start = Geometry(np.zeros((2, 3)), CUBE, PERIODIC)
    assert start.motion_to(np.zeros((n_atoms, 3)), cell, pbc) is None


def test_another_cell_is_no_motion_where_a_direction_is_open() -> None:
    slab = np.array([True, True, False])
    start = Geometry(np.zeros((2, 3)), CUBE, slab)
    assert start.motion_to(np.zeros((2, 3)), 1.01 * CUBE, slab) is None
    assert start.motion_to(np.zeros((2, 3)), CUBE, slab) is not None


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_list_never_holds_where_positions_are_not_finite(wrong: float) -> None:
    positions = np.zeros((2, 3))
    motion = Geometry(positions, CUBE, PERIODIC).motion_to(positions + wrong, CUBE, PERIODIC)
    assert motion is not None
    assert not motion.skin_needed(R_MAX) <= 1.0
