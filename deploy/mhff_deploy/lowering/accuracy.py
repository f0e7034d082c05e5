"""Choosing tables before there is a program, for GPUs, whose code holds the number of intervals.

As `mhff_deploy.radial.choice`, but the error is that of the lowered network against the exact one,
both in float64, which takes far longer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhff.graph import Graph
from mhff.model.derivatives import energies_and_edge_gradients, forces
from mhff.model.mace import MACE
from mhff.model.network import Network
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.choice import (
    MAX_INTERVALS,
    MIN_INTERVALS,
    ChosenTables,
    Sample,
    force_errors,
    largest_excess,
    next_trial,
    no_tables,
    take_samples,
)
from mhff_deploy.radial.networks import tabulate_radial


def choose_tables(network: MACE, table_error: float) -> ChosenTables:
    """The coarsest tables that keep the forces on atoms to `table_error`, eV/A.

    `network`: in float64, on the CPU. Raises InexactTablesError if the finest do not.
    """
    samples = list(take_samples(network.config, range(len(network.config.elements))))
    shares = torch.cat([sample.shares for sample in samples])
    right = _forces(network, samples)
    n_intervals = MIN_INTERVALS
    while n_intervals <= MAX_INTERVALS:
        tables = tabulate_radial(network, n_intervals)
        lowered = LoweredNetwork(network, tables)
        found = _forces(lowered, samples)
        graphs = [sample.graph for sample in samples]
        errors = torch.cat([*map(force_errors, found, right, graphs)])
        excess = largest_excess(errors, shares, table_error)
        if excess <= 1:
            return ChosenTables(tables, float(errors.max()))
        n_intervals = next_trial(n_intervals, excess)
    raise no_tables(table_error)


def _forces(network: Network, samples: Sequence[Sample]) -> list[torch.Tensor]:
    return [atomic_forces(network, sample.graph, sample.head_weights) for sample in samples]


def atomic_forces(network: Network, graph: Graph, head_weights: torch.Tensor) -> torch.Tensor:
    """Forces on atoms, `[n_atoms, 3]`, eV/A."""
    _, gradients = energies_and_edge_gradients(network, graph, head_weights)
    return forces(gradients, graph.edge_index, graph.n_local)
