"""Neighbour lists against ASE's, batches, and structures that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from structures import (
    ELEMENTS,
    STRUCTURES,
    no_atoms,
    one_atom,
    slab,
    tiny_cell,
    water_cluster,
)

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.graph import Graph, collate

R_MAX = 4.3


@pytest.mark.parametrize("name", sorted(STRUCTURES))
def test_fields_are_as_documented(name: str) -> None:
    atoms = STRUCTURES[name]()
    graph = graph_from_atoms(atoms, ELEMENTS, R_MAX)
    n_edges = graph.edge_index.shape[1]
    assert (graph.n_local, graph.n_structures) == (len(atoms), 1)
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


def test_the_structure_is_not_changed() -> None:
    atoms, before = slab(), slab()
    graph = graph_from_atoms(atoms, ELEMENTS, R_MAX)
    graph.cells.zero_()
    assert atoms == before


def test_collate() -> None:
    structures = [water_cluster(), no_atoms(), tiny_cell(), one_atom()]
    graphs = [graph_from_atoms(atoms, ELEMENTS, R_MAX) for atoms in structures]
    batch = collate(graphs)
    assert (batch.n_local, batch.n_structures) == (12, 4)
    assert batch.structure.tolist() == [0] * 9 + [2] * 2 + [3]
    offset = 0
    for index, graph in enumerate(graphs):
        mine = batch.structure_of_edge == index
        assert torch.equal(batch.edge_vectors[mine], graph.edge_vectors)
        assert torch.equal(batch.edge_index[:, mine] - offset, graph.edge_index)
        assert torch.equal(batch.cells[index], graph.cells[0])
        offset += graph.n_local


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
