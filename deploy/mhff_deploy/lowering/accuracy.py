"""Choosing tables before there is a program, for GPUs, whose code holds the number of intervals.

As `mhff_deploy.radial.choice`, but the error is that of the lowered network against the exact one,
both in float64, which takes far longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from mhff.atoms import graph_from_atoms
from mhff.graph import Graph
from mhff.model.derivatives import energies_and_edge_gradients, forces
from mhff.model.mace import MACE
from mhff.model.network import Network
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.choice import (
    DIMER_SHARE,
    MAX_INTERVALS,
    MIN_INTERVALS,
    ORDINARY_SHARE,
    ChosenTables,
    largest_excess,
    largest_force_error,
    next_trial,
    no_tables,
)
from mhff_deploy.radial.networks import tabulate_radial
from mhff_deploy.radial.structures import all_dimers, check_structures


class Sample(NamedTuple):
    """Structures with the forces of the exact network."""

    graph: Graph
    head_weights: torch.Tensor
    forces: torch.Tensor
    """`[n_atoms, 3]`, eV/A."""
    share: float
    """Share of the allowed error for this sample."""

    def error(self, network: Network) -> float:
        """Error of a network's forces, eV/A, relative to max(1, largest of the structure)."""
        found = atomic_forces(network, self.graph, self.head_weights)
        return largest_force_error(found, self.forces, self.graph)


def choose_tables(network: MACE, table_error: float) -> ChosenTables:
    """The coarsest tables that keep the forces on atoms to `table_error`, eV/A.

    `network`: in float64, on the CPU. Raises InexactTablesError if the finest do not.
    """
    samples = list(take_samples(network))
    n_intervals = MIN_INTERVALS
    while n_intervals <= MAX_INTERVALS:
        tables = tabulate_radial(network, n_intervals)
        lowered = LoweredNetwork(network, tables)
        errors = [sample.error(lowered) for sample in samples]
        excess = largest_excess(errors, [sample.share for sample in samples], table_error)
        if excess <= 1:
            return ChosenTables(tables, max(errors))
        n_intervals = next_trial(n_intervals, excess)
    raise no_tables(table_error)


def take_samples(network: MACE) -> Iterator[Sample]:
    """Samples on which the error of tables is measured, with random head weights."""
    elements = network.config.elements
    r_max = network.config.r_max
    generator = torch.Generator().manual_seed(0)

    def sample(graph: Graph, share: float) -> Sample:
        shape = (graph.n_local, len(network.config.heads))
        weights = torch.rand(shape, generator=generator, dtype=torch.float64)
        return Sample(graph, weights, atomic_forces(network, graph, weights), share)

    for atoms in check_structures(elements, small=True):
        if len(atoms) > 1:  # by symmetry no force acts on the one atom of a cell
            yield sample(graph_from_atoms(atoms, elements, r_max), ORDINARY_SHARE)
    for first in range(len(elements)):
        yield sample(all_dimers(first, len(elements), r_max), DIMER_SHARE)


def atomic_forces(network: Network, graph: Graph, head_weights: torch.Tensor) -> torch.Tensor:
    """Forces on atoms, `[n_atoms, 3]`, eV/A."""
    _, gradients = energies_and_edge_gradients(network, graph, head_weights)
    return forces(gradients, graph.edge_index, graph.n_local)
