"""How fine tables must be: as fine as the forces that somebody asked for.

The error of forces is measured, not derived: the lowered network against the exact one, both in
float64, on small rattled crystals and clusters and on dimers at all distances. It falls as the
fifth power of the number of intervals, so that few trials are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.graph import Graph, make_graph
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.mace import MACE
from mhff_deploy.lowering.network import LoweredMACE
from mhff_deploy.lowering.structures import check_structures

FIRST, MOST = 64, 2048
"""Intervals of a table: the first trial, and more than any model needs."""
STEP = 32
MARGIN = 0.2
"""Of the error that was asked for: other structures are worse than those that are measured."""
ORDER = 5.0
"""Power with which the error of forces falls."""
CLOSEST = 0.5
"""Shortest distance of the dimers, A."""
DISTANCES = 60
MOST_ATOMS = 9
"""Of a structure that errors are measured on while tables are chosen; the program is checked on
larger ones.
"""


class Tabulated(NamedTuple):
    """A lowered network and how exact its tables are; without tables it is exact."""

    network: LoweredMACE
    n_intervals: int = 0
    error: float = 0.0
    """Largest error of an edge's force, eV/A, relative to max(1, largest)."""


def lower_to_error(network: MACE, table_error: float) -> Tabulated:
    """The lowered network with the coarsest tables that keep the error of forces, eV/A, below
    `table_error`.

    `network`: in float64, on the CPU. Raises MHFFError where no table does.
    """
    graphs = list(check_graphs(network))
    n_intervals = FIRST
    while n_intervals <= MOST:
        lowered = LoweredMACE(network, n_intervals)
        error = max(force_error(network, lowered, graph) for graph in graphs)
        if error <= MARGIN * table_error:
            return Tabulated(lowered, n_intervals, error)
        wanted = n_intervals * min(max((error / (MARGIN * table_error)) ** (1 / ORDER), 1.1), 4.0)
        n_intervals = STEP * int(wanted / STEP + 1)
    raise MHFFError(
        f"no table of up to {MOST} intervals keeps the forces to {table_error:g} eV/A; ask for a "
        "larger --table-error, or "
        "for the radial networks themselves with --table-error 0"
    )


def check_graphs(network: MACE) -> Iterator[Graph]:
    """Graphs on which errors are measured."""
    config = network.config
    for atoms in check_structures(config.elements):
        if len(atoms) <= MOST_ATOMS:
            yield graph_from_atoms(atoms, config.elements, config.r_max)
    for species in range(len(config.elements)):
        yield dimers(species, len(config.elements), config.r_max)


def dimers(species: int, n_elements: int, r_max: float) -> Graph:
    """Dimers of one element with all elements, in both orders, at many distances, side by side."""
    distances = torch.linspace(CLOSEST, r_max, DISTANCES + 2, dtype=torch.float64)[:-1]
    r, other = (
        distances.repeat(n_elements),
        torch.arange(n_elements).repeat_interleave(len(distances)),
    )
    first = 2 * torch.arange(len(r))
    towards = r[:, None] * torch.tensor([0.48, 0.6, 0.64], dtype=torch.float64)
    return make_graph(
        edge_vectors=torch.stack([towards, -towards], dim=1).flatten(0, 1),
        edge_index=torch.stack(
            [
                torch.stack([first, first + 1], 1).flatten(),
                torch.stack([first + 1, first], 1).flatten(),
            ]
        ),
        species=torch.stack([torch.full_like(other, species), other], 1).flatten(),
        structure=torch.arange(len(r)).repeat_interleave(2),
        cells=torch.zeros(len(r), 3, 3, dtype=torch.float64),
    )


def force_error(exact: MACE, lowered: LoweredMACE, graph: Graph) -> float:
    """Largest error of an edge's force, eV/A, relative to max(1, largest of its structure), over
    all heads.
    """
    if not graph.edge_index.numel():
        return 0.0
    n_heads = len(exact.config.heads)
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(graph.n_local, n_heads, generator=generator, dtype=torch.float64)
    _, right = energies_and_edge_gradients(exact, graph, weights)
    _, found = energies_and_edge_gradients(lowered, graph, weights)
    scale = right.new_ones(graph.n_structures)
    scale = scale.scatter_reduce(0, graph.structure_of_edge, right.abs().amax(1), "amax")
    return float(
        ((found - right).abs().amax(1) / scale.index_select(0, graph.structure_of_edge)).max()
    )
