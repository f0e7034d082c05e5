"""Neighbour lists against ASE's and against the definition; wide structures; what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from all_pairs import all_pairs, assert_same_edges
from ase import Atoms
from ase.build import molecule
from ase.neighborlist import neighbor_list
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from structures import STRUCTURES, magnesia, tiny_cell, triclinic

from mhff.atoms import geometry
from mhff.errors import MHFFError
from mhff.neighbours import (
    MIN_DISTANCE,
    _search_tree,
    lattice_inverse,
    neighbour_list,
    neighbour_pairs,
    points_within_reach,
)
from mhff.ops.pairs import count_pairs
from mhff.verlet import VerletList

R_MAX = 4.3
AT_ONCE = 5.0
"""CPU time, s, with the import of the tree; a cell list takes far longer, or crashes."""
OPEN = np.zeros((3, 3)), np.zeros(3, bool)
SEEDS = st.integers(0, 2**32 - 1)


def edges_of(atoms: Atoms, r_max: float = R_MAX) -> tuple[np.ndarray, np.ndarray]:
    return neighbour_list(*geometry(atoms), r_max)


def edges_of_verlet_list(atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """The same by the list that ASE and OpenMM keep along a trajectory."""
    vectors, index = VerletList(R_MAX, 0.0).edges(*geometry(atoms))
    return index.numpy(), vectors.numpy()


EdgesOf = Callable[[Atoms], tuple[np.ndarray, np.ndarray]]
EDGES: list[EdgesOf] = [edges_of, edges_of_verlet_list]


@pytest.mark.parametrize("name", list(STRUCTURES))
@pytest.mark.parametrize("r_max", [2.5, R_MAX, 9.0])
def test_atoms_and_their_images_have_as_many_pairs_as_the_list_has_edges(
    name: str, r_max: float
) -> None:
    atoms = STRUCTURES[name]()
    points = torch.from_numpy(points_within_reach(*geometry(atoms), r_max))
    index, _ = edges_of(atoms, r_max)
    assert int(count_pairs(points, len(atoms), r_max)) == index.shape[1]


@pytest.mark.parametrize("name", [name for name in STRUCTURES if name != "no_atoms"])
@pytest.mark.parametrize("r_max", [2.5, R_MAX, 9.0])
def test_edges_equal_those_of_ase(name: str, r_max: float) -> None:
    atoms = STRUCTURES[name]()
    receiver, sender, vectors = neighbor_list("ijD", atoms, r_max)
    assert_same_edges(edges_of(atoms, r_max), (np.stack([sender, receiver]), -vectors))


def random_structure(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Up to 12 atoms, some far outside a skewed cell that is periodic in some directions."""
    rng = np.random.default_rng(seed)
    cell = rng.normal(0, 4, (3, 3))
    assume(1 / np.linalg.norm(np.linalg.inv(cell), axis=0).max() > 1.5)
    return rng.uniform(-12, 12, (rng.integers(1, 13), 3)), cell, rng.random(3) < 0.5


def in_pairs_order(
    receiver: np.ndarray, sender: np.ndarray, shifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return sender, receiver, shifts.T.astype(int)


def edges_of_pairs(
    positions: np.ndarray,
    lattice: np.ndarray,
    sender: np.ndarray,
    receiver: np.ndarray,
    shifts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Index and vectors of the pairs within the cutoff."""
    assert (np.diff(receiver) >= 0).all()
    assert shifts.dtype.kind == "i"
    vectors = positions[receiver] - positions[sender] - shifts.T @ lattice
    inside = np.linalg.norm(vectors, axis=1) < R_MAX
    return np.stack([sender, receiver])[:, inside], vectors[inside]


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_edges_equal_the_definition(seed: int) -> None:
    positions, cell, pbc = random_structure(seed)
    expected = all_pairs(positions, cell, pbc, R_MAX)
    assume(len(expected[1]) == 0 or np.linalg.norm(expected[1], axis=1).min() > MIN_DISTANCE)
    assert_same_edges(neighbour_list(positions, cell, pbc, R_MAX), expected)
    for pairs in (
        neighbour_pairs(positions, cell, pbc, R_MAX),
        in_pairs_order(*_search_tree(positions, cell[pbc], lattice_inverse(cell, pbc), R_MAX)),
    ):
        assert_same_edges(edges_of_pairs(positions, cell[pbc], *pairs), expected)


def test_an_edge_points_from_sender_to_receiver() -> None:
    index, vectors = edges_of(Atoms("OH", positions=[[0, 0, 0], [0, 0, 1.5]]))
    assert dict(zip(map(tuple, index.T.tolist()), vectors.tolist(), strict=True)) == {
        (1, 0): [0, 0, -1.5],
        (0, 1): [0, 0, 1.5],
    }


def test_the_cutoff_is_strict() -> None:
    dimer = Atoms("OH", positions=[[0, 0, 0], [0, 0, 2.0]])
    assert edges_of(dimer, 2.0)[0].shape == (2, 0)
    assert edges_of(dimer, 2.0 + 1e-9)[0].shape == (2, 2)


def test_self_images_are_edges() -> None:
    index, _ = edges_of(Atoms("Mg", positions=[[0, 0, 0]], cell=[2, 2, 2], pbc=True), 2.1)
    assert index.tolist() == [[0] * 6, [0] * 6]


def test_non_contiguous_positions() -> None:
    positions, cell, pbc = geometry(triclinic())
    _, expected = neighbour_list(positions, cell, pbc, R_MAX)
    _, found = neighbour_list(np.asfortranarray(positions), np.asfortranarray(cell), pbc, R_MAX)
    assert np.array_equal(found, expected)


def waters_apart(by: list[float]) -> Atoms:
    water = molecule("H2O")
    other = water.copy()
    other.translate(by)
    return water + other


SKEWED = [[4.0, 1.0, 0.5], [-1.0, 5.0, 0.2], [0.0, 0.0, 1.0]]
WIDE = {
    "two waters": waters_apart([1500, 1500, 0]),
    "two waters, 1e6 A": waters_apart([1e6, -1e6, 2e5]),
    "two waters in a flat box": Atoms(
        waters_apart([1500, 1500, 0]), cell=[3000, 3000, 5], pbc=True
    ),
    "two waters above a skewed plane": Atoms(
        waters_apart([0, 0, 5e4]), cell=SKEWED, pbc=(True, True, False)
    ),
    "two waters beside a chain": Atoms(
        waters_apart([3e4, 0, 2e4]), cell=np.roll(SKEWED, 1, axis=0), pbc=(False, True, False)
    ),
}


@pytest.mark.parametrize("edges_of", EDGES)
@pytest.mark.parametrize("name", WIDE)
def test_far_apart_fragments_are_the_sum_of_the_parts(name: str, edges_of: EdgesOf) -> None:
    atoms = WIDE[name]
    start = time.process_time()
    index, vectors = edges_of(atoms)
    assert time.process_time() - start < AT_ONCE
    first_index, first_vectors = all_pairs(*geometry(atoms[:3]), R_MAX)
    other_index, other_vectors = all_pairs(*geometry(atoms[3:]), R_MAX)
    expected = (
        np.concatenate([first_index, other_index + 3], axis=1),
        np.concatenate([first_vectors, other_vectors]),
    )
    assert_same_edges((index, vectors), expected)


@pytest.mark.parametrize("edges_of", EDGES)
def test_an_atom_far_above_a_slab(edges_of: EdgesOf) -> None:
    slab = magnesia(2, rattle=0.0)
    slab.pbc = (True, True, False)
    start = time.process_time()
    expected = edges_of(slab)
    slab += Atoms("H", positions=[[0, 0, 5e4]])
    found_index, found_vectors = edges_of(slab)
    assert time.process_time() - start < AT_ONCE
    of_slab = found_index[1] < len(slab) - 1
    assert_same_edges((found_index[:, of_slab], found_vectors[of_slab]), expected)
    # the lonely atom has its own periodic images, and nothing else
    assert (found_index[0][~of_slab] == len(slab) - 1).all()


@pytest.mark.parametrize(
    "positions",
    [
        np.random.default_rng(0).uniform(0, 1e6, (20_000, 3)),
        np.arange(20_000)[:, None] * np.full(3, 7.0),
        1000 * np.eye(3)[np.arange(300) % 3] * np.arange(300)[:, None],
    ],
    ids=["gas", "diagonal", "axes"],
)
def test_many_atoms_without_neighbours(positions: np.ndarray) -> None:
    start = time.process_time()
    positions[3] = positions[4] + 1.0
    index, _ = neighbour_list(positions, *OPEN, R_MAX)
    assert time.process_time() - start < AT_ONCE
    assert index.tolist() == [[4, 3], [3, 4]]


def test_a_ring_whose_plane_fills_more_cells_than_a_cell_list_can_hold() -> None:
    angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    ring = 1000 * np.column_stack([np.cos(angles), np.sin(angles), np.zeros(4000)])
    index, _ = neighbour_list(ring, *OPEN, R_MAX)
    assert np.array_equal(np.bincount(index[1]), np.full(4000, 4))  # 1.57 A and 3.14 A away


@pytest.mark.parametrize(("wraps", "tolerance"), [(1e3, 1e-10), (1e7, 1e-7), (1e10, 1e-4)])
def test_atoms_may_be_far_outside_the_cell(wraps: float, tolerance: float) -> None:
    positions, cell, pbc = geometry(triclinic())
    expected = neighbour_list(positions, cell, pbc, R_MAX)
    strewn = positions + (wraps * np.array([[1, 0, 0], [-1, 2, 0], [0, 0, 1], [0, 0, 0]])) @ cell
    found = neighbour_list(strewn, cell, pbc, R_MAX)
    assert found[0].shape == expected[0].shape
    lengths = [np.sort(np.linalg.norm(vectors, axis=1)) for _, vectors in (found, expected)]
    assert np.abs(lengths[0] - lengths[1]).max() < tolerance


def test_coordinates_may_be_large() -> None:
    water = molecule("H2O").positions
    index, vectors = neighbour_list(water + 1e9, *OPEN, R_MAX)
    far_apart = neighbour_list(np.vstack([water, water + 1e9]), *OPEN, R_MAX)
    rounding = 1e-6
    assert_same_edges((index, vectors.round(5)), all_pairs(water.round(5), *OPEN, R_MAX), 2e-5)
    assert far_apart[0].shape == (2, 12)
    assert np.abs(far_apart[1][:6] - far_apart[1][6:]).max() < rounding


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_positions_and_cell_must_be_finite(value: float) -> None:
    broken = tiny_cell()
    broken.positions[1, 2] = value
    skewed = tiny_cell()
    skewed.cell[0, 1] = value
    for atoms in (broken, skewed):
        with pytest.raises(
            MHFFError,
            match=r"^expected finite positions and cell, got NaN or infinity; check the structure$",
        ):
            edges_of(atoms)


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        ([0, 0, 0], True),
        ([3, 3, 0], True),
        ([3, 0, 3], (True, True, False)),
        ([[3, 0, 0], [0, 3, 0], [3, 3, 0]], True),
        ([[3, 0, 0], [0, 3, 0], [3, 3, 1e-10]], True),
        ([[3, 0, 0], [-6, 0, 0], [0, 0, 3]], (True, True, False)),
        ([[0.1, 0.2, 0.3], [0.3, 0.6, 0.9], [0, 0, 3]], (True, True, False)),
    ],
)
def test_each_periodic_direction_needs_a_lattice_vector(
    cell: list, pbc: bool | tuple[bool, ...]
) -> None:
    with pytest.raises(
        MHFFError, match=r"^expected independent lattice vectors for the periodic directions"
    ):
        edges_of(Atoms("O", positions=[[0, 0, 0]], cell=cell, pbc=pbc))


@pytest.mark.parametrize("rounding", [0.0, 1e-16, 1e-9, 0.9e-3])
def test_atoms_that_coincide_are_refused(rounding: float) -> None:
    beside = Atoms("OHO", positions=[[0, 0, 0], [0, 0, 1], [0, 0, rounding]])
    image = Atoms("OH", positions=[[0, 0, 0], [0, rounding, 3]], cell=[3, 3, 3], pbc=True)
    crystal = magnesia(1, rattle=0.0)
    crystal += Atoms("O", positions=[crystal.positions[1] + crystal.cell[0] + [0, 0, rounding]])
    far = Atoms("OOO", positions=[[0, 0, 0], [0, 0, rounding], [0, 0, 1e6]])
    for atoms in (beside, image, crystal, far):
        with pytest.raises(
            MHFFError,
            match=r"^atoms \d and \d \(or periodic images of them\) coincide: they are [\d.e-]+ A "
            r"apart; move or remove one of them$",
        ):
            edges_of(atoms)


def test_atoms_just_farther_apart_are_neighbours() -> None:
    close = Atoms("OH", positions=[[0, 0, 0], [0, 0, 1.01 * MIN_DISTANCE]])
    assert edges_of(close)[0].shape == (2, 2)


@pytest.mark.parametrize("pbc", [False, True])
def test_positions_whose_squares_are_infinite_are_refused(pbc: bool) -> None:
    """scipy raised a ValueError of its own."""
    atoms = tiny_cell()
    atoms.pbc = pbc
    atoms.positions[1, 2] = 1e300
    with pytest.raises(MHFFError, match=r"^expected positions up to 1e\+100 A, got 1e\+300 A; "):
        edges_of(atoms)


def test_a_cell_that_collapsed_is_refused_before_the_memory_is_full() -> None:
    cell = np.diag([0.01, 0.01, 0.01])
    for search in (neighbour_list, neighbour_pairs):
        with pytest.raises(
            MHFFError, match=r"neighbours per atom within 4\.5 A, got 4e\+08 of 1 at"
        ):
            search(np.zeros((1, 3)), cell, np.full(3, True), 4.5)
