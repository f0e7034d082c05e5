"""The neighbour list with a skin is complete, and rebuilt no more often than necessary."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from all_pairs import all_pairs, assert_same_edges
from ase import Atoms
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models import random_model
from structures import rattled_bulk, slab, water_cluster

from mhff import MHFFCalculator, MHFFError
from mhff.modelfile import Model
from mhff.neighbours import neighbour_list
from mhff.verlet import VerletList

R_MAX = 3.0
SAME_VECTORS = 1e-12
"""A, of vectors that follow from displacements."""
FAR_AWAY = 1e-8
"""A, of atoms a million cells away."""
OPEN = np.zeros((3, 3)), np.zeros(3, bool)
PERIODIC = np.ones(3, bool)
TRICLINIC = np.array([[8.0, 0, 0], [3.0, 7.0, 0], [-2.0, 2.5, 7.5]])
CELLS = {
    "open": OPEN,
    "cube": (9.0 * np.eye(3), PERIODIC),
    "slab": (9.0 * np.eye(3), np.array([True, True, False])),
    "triclinic": (TRICLINIC, PERIODIC),
    "smaller than the cutoff": (np.array([[2.2, 0, 0], [1.0, 2.4, 0], [0, 0, 2.0]]), PERIODIC),
}


def assert_complete(
    verlet: VerletList, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
) -> None:
    vectors, index = (tensor.numpy() for tensor in verlet.edges(positions, cell, pbc))
    assert (np.diff(index[1]) >= 0).all()
    assert_same_edges((index, vectors), all_pairs(positions, cell, pbc, R_MAX), SAME_VECTORS)


@pytest.mark.parametrize(("cell", "pbc"), CELLS.values(), ids=CELLS.keys())
def test_a_list_is_complete_while_atoms_move(cell: np.ndarray, pbc: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    n_atoms = 4 if 0 < np.linalg.det(cell) < 50 else 30
    positions = rng.uniform(0, 8, (n_atoms, 3))
    velocities = rng.normal(0, 0.02, positions.shape)
    verlet = VerletList(R_MAX, 0.6)
    for _ in range(60):
        assert_complete(verlet, positions, cell, pbc)
        positions = positions + velocities
    assert 2 < verlet.n_builds < 30


@given(
    seed=st.integers(0, 2**32 - 1),
    skin=st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    steps=st.lists(
        st.sampled_from(["rest", "tremble", "move", "jump", "wrap", "cell"]), max_size=8
    ),
)
@settings(max_examples=40, deadline=None)
def test_any_trajectory(seed: int, skin: float, steps: list[str]) -> None:
    """Atoms tremble, move, jump and change image in a skewed cell, which changes too."""
    rng = np.random.default_rng(seed)
    cell = rng.normal(0, 5, (3, 3))
    assume(1 / np.linalg.norm(np.linalg.inv(cell), axis=0).max() > 2.0)
    pbc = rng.random(3) < 0.6
    positions = rng.uniform(-4, 4, (rng.integers(1, 9), 3))
    verlet = VerletList(R_MAX, skin)
    for step in ["rest", *steps]:
        if step in ("tremble", "move"):
            positions = positions + rng.normal(
                0, {"tremble": 0.02, "move": 0.2}[step], positions.shape
            )
        elif step == "jump":
            positions = positions.copy()
            positions[rng.integers(len(positions))] += rng.uniform(-6, 6, 3)
        elif step == "wrap":
            images = rng.integers(-2, 3, positions.shape) * pbc
            positions = positions + images @ cell
        elif step == "cell":
            cell = cell * rng.uniform(0.95, 1.05)
        assert_complete(verlet, positions, cell, pbc)


def test_nan_is_refused_whatever_the_list_holds() -> None:
    verlet = VerletList(R_MAX, 1.0)
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    for shift in (0.0, 0.1, 0.15):
        verlet.edges(positions + shift, *OPEN)
    with pytest.raises(MHFFError, match=r"^expected finite positions and cell, got NaN"):
        verlet.edges(positions * [1, np.nan, 1], *OPEN)


def test_threads_may_share_a_list() -> None:
    rng = np.random.default_rng(0)
    verlet = VerletList(R_MAX, 0.6)
    starts = [rng.uniform(0, 8, (30, 3)) for _ in range(4)]
    expected = [neighbour_list(start, *OPEN, R_MAX) for start in starts]

    def check(number: int) -> None:
        for _ in range(100):
            vectors, index = verlet.edges(starts[number], *OPEN)
            assert_same_edges((index.numpy(), vectors.numpy()), expected[number], SAME_VECTORS)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(check, range(4)))


def test_other_structures_are_searched_for() -> None:
    """A cell that has shrunk by a tenth, another that is open in one direction, fewer atoms."""
    positions = np.random.default_rng(0).uniform(0, 8, (40, 3))
    mixed = np.array([True, False, True])
    verlet = VerletList(R_MAX, 0.6)
    for scale in (1.0, 0.8, 1.0):
        assert_complete(verlet, scale * positions, scale * TRICLINIC, PERIODIC)
    assert verlet.n_builds == 2  # the earlier search was kept
    assert_complete(verlet, positions, TRICLINIC, mixed)
    assert_complete(verlet, positions, 1.01 * TRICLINIC, mixed)
    assert_complete(verlet, positions[:30], TRICLINIC, mixed)
    assert verlet.n_builds == 5


@pytest.mark.parametrize("cell", [9.0 * np.eye(3), TRICLINIC, CELLS["smaller than the cutoff"][0]])
def test_trial_boxes_of_a_barostat_need_no_search(cell: np.ndarray) -> None:
    """Boxes that deform a little, with their atoms or molecules, are accepted or taken back."""
    rng = np.random.default_rng(0)
    fractions = rng.uniform(-2, 3, (12, 3))
    verlet = VerletList(R_MAX, 0.6)
    for _ in range(2):
        assert_complete(verlet, fractions @ cell, cell, PERIODIC)
        fractions = fractions + 1e-4
    builds = verlet.n_builds
    for trial in range(20):
        deformed = cell @ (np.eye(3) + rng.normal(0, 0.01, (3, 3)))
        moved = fractions @ deformed + rng.normal(0, 0.01, fractions.shape)
        if trial % 2:  # as OpenMM's barostats do
            moved -= np.floor(fractions) @ deformed
        assert_complete(verlet, moved, deformed, PERIODIC)
        assert_complete(verlet, fractions @ cell, cell, PERIODIC)
    assert verlet.n_builds == builds


def test_a_trial_too_large_for_the_skin_costs_one_search() -> None:
    positions = np.random.default_rng(0).uniform(0, 9, (40, 3))
    cell, pbc = CELLS["cube"]
    verlet = VerletList(R_MAX, 0.3)
    for shift in (0.0, 1e-3):
        assert_complete(verlet, positions + shift, cell, pbc)
    builds = verlet.n_builds
    for scale in (1.2, 1.0, 0.8, 1.0, 1.0, 0.7, 1.0):  # expansion needs none
        assert_complete(verlet, scale * positions, scale * cell, pbc)
    assert verlet.n_builds == builds + 2


def test_wrapping_needs_no_search() -> None:
    """Atoms leave the cell, and a program wraps them now and then; some are far away."""
    rng = np.random.default_rng(0)
    for cell in (9.0 * np.eye(3), TRICLINIC):
        positions = rng.uniform(0, 8, (40, 3)) + 1e6 * (rng.random((40, 1)) < 0.1) @ cell[:1]
        verlet = VerletList(R_MAX, 0.6)
        for step in range(20):
            images = np.floor(positions @ np.linalg.inv(cell)) * (rng.random((40, 1)) < 0.5)
            at = positions - images @ cell if step % 3 else positions
            vectors, index = (tensor.numpy() for tensor in verlet.edges(at, cell, PERIODIC))
            wrapped = positions - np.floor(positions @ np.linalg.inv(cell)) @ cell
            expected = neighbour_list(wrapped, cell, PERIODIC, R_MAX)
            assert_same_edges((index, vectors), expected, FAR_AWAY)
            positions = positions + rng.normal(0, 0.01, positions.shape)
        assert verlet.n_builds == 2


def test_the_first_list_in_a_cell_has_no_skin() -> None:
    positions = np.random.default_rng(0).uniform(0, 8, (40, 3))
    verlet, moved = VerletList(R_MAX, 0.6), positions + 1e-3
    for at, n_builds in ((positions, 1), (positions, 1), (moved, 2), (positions, 2), (moved, 2)):
        assert_complete(verlet, at, TRICLINIC, PERIODIC)
        assert verlet.n_builds == n_builds


def test_atoms_that_jump_into_another_image_are_found() -> None:
    cell, pbc = CELLS["cube"]
    positions = np.random.default_rng(0).uniform(0, 9, (40, 3))
    verlet = VerletList(R_MAX, 0.6)
    for jump in (0.0, 1e-3, np.array([0, 9.0, -18.0])):
        assert_complete(verlet, positions + jump * (np.arange(40) % 2)[:, None], cell, pbc)


def test_no_skin_means_a_fresh_list_at_every_move() -> None:
    positions = np.random.default_rng(0).uniform(0, 5, (20, 3))
    verlet = VerletList(R_MAX, 0.0)
    for step in range(3):
        assert_complete(verlet, positions + 1e-6 * step * positions, *OPEN)
    assert verlet.n_builds == 3


def test_one_atom_and_none_have_no_edges() -> None:
    for n_atoms in (1, 0):
        verlet = VerletList(R_MAX, 1.0)
        for shift in (0.0, 0.1, 0.2):
            vectors, index = verlet.edges(np.zeros((n_atoms, 3)) + shift, *OPEN)
            assert vectors.shape == (0, 3)
            assert index.shape == (2, 0)


def test_atoms_that_meet_between_two_searches_are_refused() -> None:
    verlet, positions = VerletList(R_MAX, 2.0), np.array([[0.0, 0, 0], [1.0, 0, 0], [2.5, 0, 0]])
    for x in (1.0, 0.9, 0.5):
        verlet.edges(np.array([[0.0, 0, 0], [x, 0, 0], [2.5, 0, 0]]), *OPEN)
    positions[1] = 0
    with pytest.raises(MHFFError, match=r"^atoms 1 and 0 \(or periodic images of them\) coincide"):
        verlet.edges(positions, *OPEN)


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model("mh1", n_channels=4, correlation=2)


def fresh(model: Model, atoms: Atoms) -> dict[str, object]:
    calculator = MHFFCalculator(model, head="materials", skin=0, form="eager")
    calculator.calculate(
        atoms.copy(),
        ["energy", "forces", "stress"] if atoms.cell.rank == 3 else ["energy", "forces"],
    )
    return calculator.results


@pytest.mark.parametrize("make", [rattled_bulk, slab, water_cluster])
def test_a_calculator_along_a_trajectory(model: Model, make: object) -> None:
    atoms, rng = make(), np.random.default_rng(1)  # type: ignore[operator]
    calculator = atoms.calc = MHFFCalculator(model, head="materials", form="eager")
    velocities = rng.normal(0, 0.02, atoms.positions.shape)
    for _ in range(12):
        expected = fresh(model, atoms)
        assert abs(atoms.get_potential_energy() - expected["energy"]) < 1e-10  # type: ignore[operator]
        assert np.abs(atoms.get_forces() - expected["forces"]).max() < 1e-10
        atoms.positions += velocities
    assert 2 < calculator.neighbours.n_builds < 10
    without = atoms.calc = MHFFCalculator(model, head="materials", skin=0, form="eager")
    for _ in range(3):
        atoms.get_forces()
        atoms.positions += velocities
    assert without.neighbours.n_builds == 3


def test_a_calculator_for_other_structures_in_turn(model: Model) -> None:
    """Same numbers of atoms, same cell, other elements; other cells; other sizes."""
    calculator = MHFFCalculator(model, head="materials", form="eager")
    first = rattled_bulk()
    other = first.copy()
    other.symbols[:] = other.symbols[::-1]
    for atoms in (first, other, slab(), first, water_cluster(), other, first):
        calculator.calculate(atoms.copy())
        assert abs(calculator.results["energy"] - fresh(model, atoms)["energy"]) < 1e-10  # type: ignore[operator]


@pytest.mark.parametrize("skin", [-0.1, float("inf"), float("nan"), "wide", None])
def test_a_negative_or_infinite_skin_is_refused(model: Model, skin: Any) -> None:
    with pytest.raises(MHFFError, match="expected a skin of 0 A or more"):
        MHFFCalculator(model, head="materials", skin=skin, form="eager")
