"""Neighbour lists against ASE's, batches, and structures that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from structures import (
    ELEMENTS,
    STRUCTURES,
    no_atoms,
    one_atom,
    slab,
    tiny_cell,
    triclinic,
    water_cluster,
)

from mhff.errors import MHFFError
from mhff.graph import Graph, collate, graph_from_atoms

R_MAX = 4.3


def sorted_edges(edge_index: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Rows (receiver, sender, x, y, z) in an order that does not depend on rounding."""
    rows = np.column_stack([edge_index[1], edge_index[0], vectors])
    return rows[np.lexsort(np.round(rows, 6).T[::-1])]


@pytest.mark.parametrize("name", [name for name in STRUCTURES if name != "no_atoms"])
@pytest.mark.parametrize("r_max", [2.5, R_MAX, 9.0])
def test_edges_equal_those_of_ase(name: str, r_max: float) -> None:
    atoms = STRUCTURES[name]()
    graph = graph_from_atoms(atoms, ELEMENTS, r_max)
    receiver, sender, vectors = neighbor_list("ijD", atoms, r_max)
    found = sorted_edges(graph.edge_index.numpy(), graph.edge_vectors.numpy())
    expected = sorted_edges(np.stack([sender, receiver]), -vectors)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("name", sorted(STRUCTURES))
def test_fields_are_as_documented(name: str) -> None:
    atoms = STRUCTURES[name]()
    graph = graph_from_atoms(atoms, ELEMENTS, R_MAX)
    n_edges = graph.edge_index.shape[1]
    assert (graph.n_atoms, graph.n_structures) == (len(atoms), 1)
    assert graph.edge_vectors.shape == (n_edges, 3)
    assert graph.edge_vectors.dtype == graph.cells.dtype == torch.float64
    assert graph.edge_index.dtype == graph.species.dtype == graph.structure.dtype == torch.int64
    assert graph.edge_index.shape == (2, n_edges)
    assert graph.edge_index.is_contiguous()
    assert graph.edge_vectors.is_contiguous()
    assert [ELEMENTS[z] for z in graph.species] == atoms.get_chemical_symbols()
    assert torch.equal(graph.structure_of_edge, torch.zeros(n_edges, dtype=torch.int64))
    np.testing.assert_array_equal(graph.cells[0], atoms.cell[:])
    assert (torch.diff(graph.edge_index[1]) >= 0).all(), "edges are sorted by receiver"


def test_an_edge_points_from_sender_to_receiver() -> None:
    graph = graph_from_atoms(Atoms("OH", positions=[[0, 0, 0], [0, 0, 1.5]]), ELEMENTS, R_MAX)
    vectors = {
        tuple(pair): vector
        for pair, vector in zip(
            graph.edge_index.T.tolist(), graph.edge_vectors.tolist(), strict=True
        )
    }
    assert vectors == {(1, 0): [0, 0, -1.5], (0, 1): [0, 0, 1.5]}


def test_the_cutoff_is_strict() -> None:
    dimer = Atoms("OH", positions=[[0, 0, 0], [0, 0, 2.0]])
    assert graph_from_atoms(dimer, ELEMENTS, 2.0).edge_index.shape == (2, 0)
    assert graph_from_atoms(dimer, ELEMENTS, 2.0 + 1e-9).edge_index.shape == (2, 2)


def test_self_images_are_edges() -> None:
    atoms = Atoms("Mg", positions=[[0, 0, 0]], cell=[2, 2, 2], pbc=True)
    graph = graph_from_atoms(atoms, ELEMENTS, 2.1)
    assert graph.edge_index.tolist() == [[0] * 6, [0] * 6]


def test_non_contiguous_positions() -> None:
    atoms = triclinic()
    expected = graph_from_atoms(atoms, ELEMENTS, R_MAX)
    atoms.arrays["positions"] = np.asfortranarray(atoms.positions)
    atoms.cell.array = np.asfortranarray(atoms.cell.array)
    assert torch.equal(graph_from_atoms(atoms, ELEMENTS, R_MAX).edge_vectors, expected.edge_vectors)


def test_the_structure_is_not_changed() -> None:
    atoms, before = slab(), slab()
    graph = graph_from_atoms(atoms, ELEMENTS, R_MAX)
    graph.cells.zero_()
    assert atoms == before


def test_collate() -> None:
    structures = [water_cluster(), no_atoms(), tiny_cell(), one_atom()]
    graphs = [graph_from_atoms(atoms, ELEMENTS, R_MAX) for atoms in structures]
    batch = collate(graphs)
    assert (batch.n_atoms, batch.n_structures) == (12, 4)
    assert batch.structure.tolist() == [0] * 9 + [2] * 2 + [3]
    offset = 0
    for index, graph in enumerate(graphs):
        mine = batch.structure_of_edge == index
        assert torch.equal(batch.edge_vectors[mine], graph.edge_vectors)
        assert torch.equal(batch.edge_index[:, mine] - offset, graph.edge_index)
        assert torch.equal(batch.cells[index], graph.cells[0])
        offset += graph.n_atoms


def test_collate_of_batches() -> None:
    graphs = [
        graph_from_atoms(build(), ELEMENTS, R_MAX) for build in (water_cluster, tiny_cell, one_atom)
    ]
    nested = collate([collate(graphs[:2]), graphs[2]])
    flat = collate(graphs)
    for field in Graph.__dataclass_fields__:
        assert torch.equal(getattr(nested, field), getattr(flat, field)), field


def test_to_changes_floating_point_fields_only() -> None:
    graph = graph_from_atoms(tiny_cell(), ELEMENTS, R_MAX).to("cpu", torch.float32)
    assert graph.edge_vectors.dtype == graph.cells.dtype == torch.float32
    assert graph.edge_index.dtype == graph.species.dtype == torch.int64


def test_unknown_elements_are_named() -> None:
    sentence = (
        "^this structure has Fe, Zn, but this model knows only H, C, N, O, Mg; use a model "
        "trained on these elements$"
    )
    with pytest.raises(MHFFError, match=sentence):
        graph_from_atoms(Atoms("OZnFeZn", positions=np.eye(4, 3) * 2), ELEMENTS, R_MAX)


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
            graph_from_atoms(atoms, ELEMENTS, R_MAX)


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        ([0, 0, 0], True),
        ([3, 3, 0], True),
        ([3, 0, 3], (True, True, False)),
        ([[3, 0, 0], [0, 3, 0], [3, 3, 0]], True),
        ([[3, 0, 0], [-6, 0, 0], [0, 0, 3]], (True, True, False)),
    ],
)
def test_each_periodic_direction_needs_a_lattice_vector(
    cell: list, pbc: bool | tuple[bool, ...]
) -> None:
    atoms = Atoms("O", positions=[[0, 0, 0]], cell=cell, pbc=pbc)
    with pytest.raises(
        MHFFError, match=r"^expected independent lattice vectors for the periodic directions"
    ):
        graph_from_atoms(atoms, ELEMENTS, R_MAX)


def test_two_atoms_cannot_be_at_one_place() -> None:
    for atoms in (
        Atoms("OHO", positions=[[0, 0, 0], [0, 0, 1], [0, 0, 0]]),
        Atoms("OH", positions=[[0, 0, 0], [0, 0, 3]], cell=[3, 3, 3], pbc=True),
    ):
        with pytest.raises(
            MHFFError,
            match=r"^expected atoms at different places, got atoms \d and \d \(or their images\)",
        ):
            graph_from_atoms(atoms, ELEMENTS, R_MAX)
