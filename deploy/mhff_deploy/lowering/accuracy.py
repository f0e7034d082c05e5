"""Choosing tables: as coarse as the error of forces on atoms allows.

The error is measured, not estimated: the lowered network against the exact one, both in float64,
on small rattled crystals (one as dense as diamond), on clusters, and on dimers of all pairs of
elements at all distances. It falls as the fifth power of the number of intervals, so few trials are
needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.graph import Graph
from mhff.model.derivatives import energies_and_edge_gradients, forces
from mhff.model.mace import MACE
from mhff.model.network import Network
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.networks import RadialTables, tabulate_radial
from mhff_deploy.radial.structures import all_dimers, check_structures

MIN_INTERVALS = 64
"""Number of intervals that is tried first."""
MAX_INTERVALS = 4096
"""Largest number of intervals that is tried."""
INTERVAL_STEP = 32
"""Numbers of intervals are multiples of this."""
ORDINARY_SHARE = 0.2
"""Share of the allowed error for crystals and clusters, because others may be worse."""
DIMER_SHARE = 0.5
"""Share of the allowed error for dimers, which cover all pairs of elements and all distances."""
CONVERGENCE_ORDER = 5.0
"""Power of the number of intervals with which the error of forces falls."""


class InexactTablesError(MHFFError):
    """No table of a reasonable size is as exact as requested."""


class MeasuredTables(NamedTuple):
    """Tables and how exact they are."""

    tables: RadialTables
    error: float
    """Largest error of a force on an atom, eV/A, relative to max(1, largest of its structure)."""


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


def choose_tables(network: MACE, table_error: float) -> MeasuredTables:
    """The coarsest tables that keep the forces on atoms to `table_error`, eV/A.

    `network`: in float64, on the CPU. Raises InexactTablesError if the finest do not.
    """
    samples = list(take_samples(network))
    n_intervals = MIN_INTERVALS
    while n_intervals <= MAX_INTERVALS:
        tables = tabulate_radial(network, n_intervals)
        lowered = LoweredNetwork(network, tables)
        errors = [sample.error(lowered) for sample in samples]
        excess = max(
            error / (sample.share * table_error)
            for sample, error in zip(samples, errors, strict=True)
        )
        if excess <= 1:
            return MeasuredTables(tables, max(errors))
        wanted = n_intervals * min(max(excess ** (1 / CONVERGENCE_ORDER), 1.1), 4.0)
        n_intervals = INTERVAL_STEP * int(wanted / INTERVAL_STEP + 1)
    raise InexactTablesError(
        f"no table of up to {MAX_INTERVALS} intervals keeps the forces on atoms to "
        f"{table_error:g} eV/A"
    )


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


def largest_force_error(found: torch.Tensor, right: torch.Tensor, graph: Graph) -> float:
    """Largest error of a component `[n_atoms, 3]`, relative to max(1, largest of the structure)."""
    if not right.numel():
        return 0.0
    scale = right.new_ones(graph.n_structures)
    scale = scale.scatter_reduce(0, graph.structure, right.abs().amax(1), "amax")
    errors = (found - right).abs().amax(1) / scale.index_select(0, graph.structure)
    return float(errors.max())
