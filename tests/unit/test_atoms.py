"""ASE's atoms as graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from structures import ELEMENTS, STRUCTURES, slab

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError

R_MAX = 4.3


@pytest.mark.parametrize("name", sorted(STRUCTURES))
def test_fields_are_as_documented(name: str) -> None:
    atoms = STRUCTURES[name]()
    graph = graph_from_atoms(atoms, ELEMENTS, R_MAX)
    n_edges = graph.edge_index.shape[1]
    assert (graph.n_local, graph.n_structures, graph.n_ghosts) == (len(atoms), 1, 0)
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


def test_every_atom_has_the_state_of_its_structure() -> None:
    atoms = Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]])
    graph = graph_from_atoms(atoms, ELEMENTS, R_MAX, (-1.0, 2.0))
    assert graph.state.tolist() == [[-1.0, 2.0]] * 2


def test_unknown_elements_are_named() -> None:
    sentence = (
        "^this structure has Fe, Zn, but this model knows only H, C, N, O, Mg; use a model "
        "trained on these elements$"
    )
    with pytest.raises(MHFFError, match=sentence):
        graph_from_atoms(Atoms("OZnFeZn", positions=np.eye(4, 3) * 2), ELEMENTS, R_MAX)
