"""A model's predictions for a batch, in the shapes of the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from mhff.data.batch import Batch
from mhff.graph import Graph
from mhff.model import derivatives

Evaluate = Callable[[Graph, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Node energies and edge gradients of a graph: `mhff.evaluator.Evaluator.evaluate`."""


class Prediction(NamedTuple):
    """A model's predictions for a batch of S structures with n atoms in total."""

    energy: torch.Tensor
    """`[S]`, eV, float64."""
    forces: torch.Tensor
    """`[n, 3]`, eV/A."""
    stress: torch.Tensor
    """`[K, 3, 3]`, eV/A^3, of the K structures whose stress is labelled."""


def predict(evaluate: Evaluate, batch: Batch, n_heads: int) -> Prediction:
    """Energies, forces and stresses of a batch; differentiable where `evaluate` is."""
    graph = batch.graph
    head_weights = batch.head_weights(n_heads)
    node_energies, gradients = evaluate(graph, head_weights)
    atomic = (head_weights * node_energies).sum(1)
    virials = derivatives.virial(
        gradients, graph.edge_vectors, graph.structure_of_edge, graph.n_structures
    )
    return Prediction(
        energy=atomic.new_zeros(graph.n_structures).index_add(0, graph.structure, atomic),
        forces=derivatives.forces(gradients, graph.edge_index, graph.n_local),
        stress=derivatives.stress(virials[batch.has_stress], graph.cells[batch.has_stress]),
    )
