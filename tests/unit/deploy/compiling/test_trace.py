"""Traced networks: one graph of operators for every size."""

from __future__ import annotations

import pytest
import torch
from tolerances import ROUNDING, assert_close

from mhff import Model
from mhff.graph import from_program_inputs, make_graph, program_inputs
from mhff.model.acceleration import use_operators
from mhff.model.mace import MACE
from mhff_deploy.compiling.trace import example_inputs, trace
from mhff_deploy.lowering.pruning import pruned

SIZES = [(7, 5, 53), (1, 0, 0), (2, 0, 1), (40, 90, 700)]
"""Numbers of local atoms, ghosts and edges."""


@pytest.fixture(scope="module")
def network(model: Model) -> MACE:
    """The model's network ready to trace, its radial networks kept."""
    network = pruned(model, None)
    use_operators(network)
    return network


@pytest.fixture(scope="module")
def program(network: MACE) -> torch.fx.GraphModule:
    return trace(network)


def no_atoms() -> tuple[torch.Tensor, ...]:
    """Inputs of an empty system."""
    nothing = torch.zeros(0, dtype=torch.int64)
    graph = make_graph(torch.zeros(0, 3).double(), nothing.expand(2, 0), nothing)
    return program_inputs(graph, torch.zeros(0, 3), torch.device("cpu"), torch.float64)


def test_one_graph_serves_every_size(network: MACE, program: torch.fx.GraphModule) -> None:
    cpu = torch.device("cpu")
    for inputs in (no_atoms(), *(example_inputs(3, torch.float64, cpu, *n) for n in SIZES)):
        energies, gradients = program(*inputs)
        graph, _ = from_program_inputs(inputs)
        assert energies.shape == (graph.n_local, 3)
        assert gradients.shape == graph.edge_vectors.shape
        assert_close(energies, network(graph), ROUNDING)
