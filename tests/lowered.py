"""Comparisons of a lowered network with the exact one that it is made from."""

from __future__ import annotations

from typing import Any

import structures
import torch
from models import random_model
from tolerances import Tolerance, assert_close

from mhff.atoms import graph_from_atoms
from mhff.graph import Graph
from mhff.model.derivatives import energies_and_edge_gradients, forces
from mhff.model.mace import MACE
from mhff.model.network import Network

TABLE_ERROR = 1e-9
"""Error of forces on atoms, eV/A, that tables may make in tests."""
STRUCTURES = (
    structures.rattled_bulk,
    structures.triclinic,
    structures.slab,
    structures.water_cluster,
    structures.close_contacts,
    structures.one_atom,
    structures.far_apart,
    structures.no_atoms,
)


def exact_network(name: str, **changes: Any) -> MACE:
    """A random network with numbers of channels that kernels accept, ready to be lowered."""
    model = random_model(name, n_channels=8, n_edge_channels=8, **changes)
    return model.network.double().requires_grad_(False)


def graphs(network: Network) -> list[Graph]:
    """Graphs of `STRUCTURES`."""
    config = network.config
    return [graph_from_atoms(make(), config.elements, config.r_max) for make in STRUCTURES]


def results(network: Network, graph: Graph) -> tuple[torch.Tensor, torch.Tensor]:
    """Node energies and edge gradients with random head weights, in the network's precision."""
    generator = torch.Generator().manual_seed(3)
    shape = (graph.n_local, len(network.config.heads))
    weights = torch.rand(shape, generator=generator, dtype=torch.float64)
    return energies_and_edge_gradients(network, graph.to("cpu", network.dtype), weights)


def assert_same(exact: Network, lowered: Network, graph: Graph, error: float) -> None:
    """Node energies, eV, and forces on atoms, eV/A, agree to `error` max(1, largest force)."""
    energies, gradients = results(exact, graph)
    found_energies, found_gradients = results(lowered, graph)
    right = forces(gradients, graph.edge_index, graph.n_local)
    found = forces(found_gradients.double(), graph.edge_index, graph.n_local)
    scale = max(1.0, float(right.abs().max())) if right.numel() else 1.0
    tolerance = Tolerance(relative=0.0, absolute=error * scale)
    assert_close(found_energies, energies, tolerance)
    assert_close(found, right, tolerance)
