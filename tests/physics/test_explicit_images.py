"""Explicit images of atoms (ghosts), as in LAMMPS, give the same physics as periodic edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from models import random_model
from structures import far_apart, rattled_bulk, slab, tiny_cell, triclinic
from tolerances import ROUNDING, assert_close

from mhff import MHFFError
from mhff.atoms import graph_from_atoms
from mhff.evaluator import EagerEvaluator
from mhff.graph import make_graph
from mhff.model import derivatives
from mhff.modelfile import Model
from mhff.ops.ghosts import owner_plan


def with_ghosts(atoms: Atoms, r_max: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Edge index, edge vectors and owners; images of atoms are ghosts after the local atoms."""
    receiver, sender, shift = neighbor_list("ijS", atoms, r_max)
    images = {(j, 0, 0, 0): j for j in range(len(atoms))}
    senders = [
        images.setdefault((j, *s), len(images))
        for j, s in zip(sender.tolist(), shift.tolist(), strict=True)
    ]
    keys = np.array(list(images)).reshape(-1, 4)
    positions = atoms.positions[keys[:, 0]] + keys[:, 1:] @ atoms.cell[:]
    edge_index = torch.tensor([senders, receiver.tolist()], dtype=torch.int64).reshape(2, -1)
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    return edge_index, torch.from_numpy(vectors), torch.from_numpy(keys[:, 0])


@pytest.mark.parametrize("build", [rattled_bulk, triclinic, tiny_cell, slab, far_apart])
def test_ghosts_equal_folded_edges(model: Model, build) -> None:
    atoms = build()
    n = len(atoms)
    evaluator = EagerEvaluator(model)
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).expand(n, -1)
    graph = graph_from_atoms(atoms, model.elements, model.r_max)
    energies, gradients = evaluator.evaluate(graph, weights)
    forces = derivatives.forces(gradients, graph.edge_index, n)

    edge_index, vectors, owners = with_ghosts(atoms, model.r_max)
    unfolded = make_graph(
        vectors, edge_index, graph.species[owners], ghost_plan=owner_plan(owners[n:])
    )
    ghost_energies, gradients = evaluator.evaluate(unfolded, weights)
    on_all = derivatives.forces(gradients, edge_index, len(owners))
    folded = on_all.new_zeros(n, 3).index_add(0, owners, on_all)
    assert ghost_energies.shape == (n, 3)
    assert_close(ghost_energies, energies, ROUNDING)
    assert_close(folded, forces, ROUNDING)
    if build is not far_apart:
        assert len(owners) > n
        assert on_all[n:].abs().max() > 0


def test_a_plan_is_needed() -> None:
    """Without a plan there are no atoms beyond n_local: an error, not a wrong number."""
    model = random_model("mh1")
    atoms = tiny_cell()
    edge_index, vectors, owners = with_ghosts(atoms, model.r_max)
    graph = graph_from_atoms(atoms, model.elements, model.r_max)
    without_plan = replace(
        graph, edge_vectors=vectors, edge_index=edge_index, species=graph.species[owners]
    )
    weights = torch.eye(3, dtype=torch.float64)[0].expand(len(atoms), -1)
    with pytest.raises(
        MHFFError, match=r"^edge_index\[0\] contains \d+, but valid indices are 0 to 1"
    ):
        EagerEvaluator(model).evaluate(without_plan, weights)
