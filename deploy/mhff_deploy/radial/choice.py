"""Choosing tables for a program: as coarse as the error of forces on atoms allows.

The error is measured with the program itself, on small rattled crystals (one as dense as diamond),
on clusters, and on dimers of all pairs of elements at all distances. A program in float32 cannot
show errors of 1e-6 eV/A. So the difference between tables and tables twice as fine, which have a
thirtieth of the error, is made larger by a known factor: the forces change by that factor times the
error. It falls as the fifth power of the number of intervals, so few trials are needed. Tables err
most where atoms are close: those that fail there are tried on nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import torch

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.graph import Graph, collate, make_graph
from mhff.model.config import ModelConfig
from mhff.model.derivatives import forces
from mhff_deploy.radial.inputs import TableInputs
from mhff_deploy.radial.networks import (
    RadialNetworks,
    RadialTables,
    tabulate_elements,
    tabulate_pairs,
)
from mhff_deploy.radial.structures import all_dimers, check_structures
from mhff_deploy.radial.tables import Table, refined

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
CLOSE = 1.3
"""Structures with atoms closer than this, A, are tried first."""
CONVERGENCE_ORDER = 5.0
"""Power of the number of intervals with which the error of forces falls."""
MAX_TOGETHER = 5
"""Largest number of species whose structures are one sample."""
AMPLIFIED_ERROR = 1e-2
"""Size to which an error as large as allowed is amplified: far above rounding, still linear."""
MAX_FACTOR = 1e8
"""Largest amplification."""
MIN_GROWTH = 1.1
"""Smallest factor to the next number of intervals after an error that was too large."""
MAX_GROWTH = 4.0
"""Largest factor between two numbers of intervals that are tried."""
MIN_EXCESS = 1e-5
"""Errors below this share of the allowed one are taken for rounding: a tenth as fine is tried."""
MIN_SAVING = 0.75
"""Coarser tables are tried only if they have at most this share of the intervals."""


class InexactTablesError(MHFFError):
    """No table of a reasonable size is as exact as requested."""


class TabulatedProgram(Protocol):
    """A program that takes tables as inputs."""

    def pack(self, tables: RadialTables) -> TableInputs:
        """Tables as the program takes them."""
        ...

    def gradients(
        self, graph: Graph, head_weights: torch.Tensor, tables: TableInputs
    ) -> torch.Tensor:
        """Edge gradients `[E, 3]`, eV/A."""
        ...


class ChosenTables(NamedTuple):
    """Tables and how exact they are."""

    tables: RadialTables
    error: float
    """Largest error of a force on an atom, eV/A, relative to max(1, largest of its structure)."""


class Sample(NamedTuple):
    """Structures on which the error is measured."""

    graph: Graph
    head_weights: torch.Tensor
    shares: torch.Tensor
    """Share of the allowed error for each structure, `[n_structures]`."""

    def pairs(self, config: ModelConfig) -> torch.Tensor:
        """The pairs of species `[n, 2]` that its edges have, or one if tables depend on none."""
        pairs = self.graph.species[self.graph.edge_index].T.unique(dim=0)
        return pairs if config.radial_of_pairs else pairs[:1]

    def stages(self) -> list[Sample]:
        """The structures with close atoms, if there are some, and all of them."""
        graph = self.graph
        close = torch.zeros(graph.n_structures, dtype=torch.bool)
        close[graph.structure_of_edge[graph.edge_vectors.norm(dim=1) < CLOSE]] = True
        return [self._only(close), self] if bool(close.any()) else [self]

    def _only(self, kept: torch.Tensor) -> Sample:
        """Some of the structures, by a mask."""
        graph = self.graph
        atoms, edges = kept[graph.structure], kept[graph.structure_of_edge]
        position_of_atom, position = atoms.cumsum(0) - 1, kept.cumsum(0) - 1
        some = make_graph(
            graph.edge_vectors[edges],
            position_of_atom[graph.edge_index[:, edges]],
            graph.species[atoms],
            structure=position[graph.structure[atoms]],
            cells=graph.cells[kept],
        )
        return Sample(some, self.head_weights[atoms], self.shares[kept])


class Measured(NamedTuple):
    """Errors of the structures of a sample."""

    errors: torch.Tensor
    """eV/A, as `force_errors` has them."""
    shares: torch.Tensor


def choose_tables(
    networks: RadialNetworks,
    program: TabulatedProgram,
    species: Sequence[int],
    table_error: float,
    n_intervals: int = MIN_INTERVALS,
) -> ChosenTables:
    """The coarsest tables that keep the forces on atoms to `table_error`, eV/A.

    `species`: of the tables; `n_intervals`: where to begin. Raises InexactTablesError if the finest
    tables do not.
    """
    stages = [sample.stages() for sample in take_samples(networks.config, species)]
    found: tuple[int, float] | None = None
    while n_intervals <= MAX_INTERVALS:
        measured = [_measure(networks, program, each, n_intervals, table_error) for each in stages]
        errors, shares = map(torch.cat, zip(*measured, strict=True))
        excess = largest_excess(errors, shares, table_error)
        if excess <= 1:
            found = n_intervals, float(errors.max())
        after = next_trial(n_intervals, excess)
        if found is not None and (excess > 1 or after > MIN_SAVING * n_intervals):
            break
        n_intervals = after
    if found is None:
        raise no_tables(table_error)
    n_intervals, error = found
    return ChosenTables(tabulate_elements(networks, n_intervals, species), error)


def largest_excess(errors: torch.Tensor, shares: torch.Tensor, table_error: float) -> float:
    """How many times the allowed error the worst structure has; each is allowed its share of it.

    NaN if an error is not a number.
    """
    return float((errors / shares).max()) / table_error


def no_tables(table_error: float) -> InexactTablesError:
    """The refusal where even the finest tables make too large an error, eV/A."""
    return InexactTablesError(
        f"no table of up to {MAX_INTERVALS} intervals keeps the forces on atoms to "
        f"{table_error:g} eV/A"
    )


def next_trial(n_intervals: int, excess: float) -> int:
    """A number of intervals after one whose error is this many times that allowed.

    It is greater if the error was too large, and may be smaller if it was not.
    """
    growth = MAX_GROWTH
    if math.isfinite(excess):
        growth = min(max(excess, MIN_EXCESS) ** (1 / CONVERGENCE_ORDER), MAX_GROWTH)
    if excess > 1:
        growth = max(growth, MIN_GROWTH)
    return INTERVAL_STEP * int(n_intervals * growth / INTERVAL_STEP + 1)


def force_errors(found: torch.Tensor, right: torch.Tensor, graph: Graph) -> torch.Tensor:
    """Largest error of a component in each structure, relative to max(1, largest component).

    `found` and `right`: forces on atoms, `[n_atoms, 3]`.
    """
    zeros = right.new_zeros(graph.n_structures)
    wrong, scale = (
        zeros.scatter_reduce(0, graph.structure, x.abs().amax(1), "amax")
        for x in (found - right, right)
    )
    return wrong / scale.clamp(min=1)


def take_samples(config: ModelConfig, species: Sequence[int]) -> Iterator[Sample]:
    """Structures of some species, with random head weights.

    Those of few species are one sample, so that their tables are made once; those of many would
    need too many tables at a time.
    """
    generator = torch.Generator().manual_seed(0)
    ordinary = collate(_ordinary_structures(config, species))
    rows = [_dimers(config, species, first) for first in range(len(species))]
    parts = [(ordinary, ORDINARY_SHARE), *((row, DIMER_SHARE) for row in rows)]
    together = [parts] if len(species) <= MAX_TOGETHER else [[part] for part in parts]
    for sample in together:
        graph = collate([graph for graph, _ in sample])
        shares = [torch.full((each.n_structures,), share).double() for each, share in sample]
        shape = (graph.n_local, len(config.heads))
        weights = torch.rand(shape, generator=generator, dtype=torch.float64)
        yield Sample(graph, weights, torch.cat(shares))


def _ordinary_structures(config: ModelConfig, species: Sequence[int]) -> list[Graph]:
    """Rattled crystals and clusters."""
    symbols = [config.elements[index] for index in species]
    return [
        graph_from_atoms(atoms, config.elements, config.r_max)
        for atoms in check_structures(symbols, small=True)
        if len(atoms) > 1  # by symmetry no force acts on the one atom of a cell
    ]


def _dimers(config: ModelConfig, species: Sequence[int], first: int) -> Graph:
    """Dimers of one of some species with itself and those behind it."""
    graph = all_dimers(first, len(species), config.r_max, beginning=first)
    return replace(graph, species=torch.tensor(species)[graph.species])


def _measure(
    networks: RadialNetworks,
    program: TabulatedProgram,
    stages: Sequence[Sample],
    n_intervals: int,
    table_error: float,
) -> Measured:
    """Errors of forces with tables of these intervals, in the first stage where they fail.

    If they fail in none, in the last.
    """
    pairs = stages[-1].pairs(networks.config)
    coarse = tabulate_pairs(networks, n_intervals, pairs)
    fine = tabulate_pairs(networks, 2 * n_intervals, pairs)
    factor = min(AMPLIFIED_ERROR / table_error, MAX_FACTOR)
    tables = [program.pack(each) for each in (_amplified(coarse, fine, factor), fine)]
    for sample in stages:
        found, right = (_forces(program, sample, each) for each in tables)
        measured = Measured(force_errors(found, right, sample.graph) / factor, sample.shares)
        if not largest_excess(*measured, table_error) <= 1:
            break
    return measured


def _forces(program: TabulatedProgram, sample: Sample, tables: TableInputs) -> torch.Tensor:
    graph = sample.graph
    gradients = program.gradients(graph, sample.head_weights, tables)
    return forces(gradients.double(), graph.edge_index, graph.n_local)


def _amplified(coarse: RadialTables, fine: RadialTables, factor: float) -> RadialTables:
    """The fine tables with the error of the coarse ones, times a factor."""

    def amplified(rough: Table, exact: Table) -> Table:
        error = refined(rough.coefficients).sub_(exact.coefficients)
        return replace(exact, coefficients=error.mul_(factor).add_(exact.coefficients))

    densities = None
    if coarse.densities is not None and fine.densities is not None:
        densities = amplified(coarse.densities, fine.densities)
    weights = map(amplified, coarse.weights, fine.weights)
    return replace(fine, weights=tuple(weights), densities=densities)
