"""What a lowered network does per edge and per atom: one interface, plain torch here (the
reference), C++ in `kernels.cpu`.

Messages and products are flat and ordered by degree: for each l a block `[n, 2l + 1, width]`, so
that each degree's linear map is one product of matrices on a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch

from mhff.model.angular import SphericalHarmonics
from mhff.model.layers import pack_degrees
from mhff.ops.contraction import contraction_operator
from mhff.ops.convolution import convolution_operator, sum_over_edges
from mhff.ops.flat import split_flat
from mhff_deploy.lowering.linear import Maps
from mhff_deploy.lowering.radial import RadialTables
from mhff_deploy.lowering.tables import interpolate


class Edges(NamedTuple):
    """Edges, as convolutions take them."""

    edge_index: torch.Tensor
    """`[2, E]`: sender, receiver."""
    harmonics: torch.Tensor
    """`[E, (l_max + 1)^2]`."""
    r: torch.Tensor
    """`[E]`, A; within the tables, where there are tables."""
    species: torch.Tensor
    """`[n_all]`: species index of every atom."""
    n_local: int
    order: torch.Tensor
    """Of kernels: edges in the order of their receivers; empty in the reference."""
    begin: torch.Tensor
    """Of kernels: where in the order each receiver's edges begin; empty in the reference."""
    weights: Sequence[torch.Tensor] = ()
    """Convolution weights of each layer, `[E, paths, channels]`; none where they are in tables."""


class Kernels(Protocol):
    """The heavy operations of one lowered network."""

    def geometry(self, edge_vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Harmonics `[E, B]` and distances `[E]`."""
        ...

    def sort(self, receivers: torch.Tensor, n_local: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`Edges.order` and `Edges.begin`."""
        ...

    def sum_edges(self, values: torch.Tensor, edges: Edges) -> torch.Tensor:
        """Sums of values `[E, ...]` over each receiver's edges, `[n_local, ...]`."""
        ...

    def convolution(self, layer: int, features: torch.Tensor, edges: Edges) -> torch.Tensor:
        """Flat messages of a layer from features `[n_all, D_in, channels]`, after the linear map
        that follows them.

        With the weights that the edges bring, or else those of the tables that the kernels were
        made with. Messages have paths to l times channels; the map (`mixing`) is in the kernel,
        because they are better not kept.
        """
        ...

    def contraction(self, layer: int, a: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Flat products of a layer from flat features of the atoms with these species."""
        ...


class TorchKernels:
    """The reference: exact tables and coefficients, plain torch."""

    def __init__(
        self,
        harmonics: SphericalHarmonics,
        tables: RadialTables | None,
        convolutions: Sequence[tuple[torch.Tensor, Sequence[int]]],
        maps: Sequence[Maps],
        contractions: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    ) -> None:
        """`tables`: None where edges bring weights; `convolutions`: coupling, paths to each degree;
        `maps` of messages; `contractions`: coefficients `[n_sets, Q, C]`, monomials, row_sum
        (`mhff.ops`).
        """
        self.harmonics, self.tables = harmonics, tables
        self.convolutions, self.maps, self.contractions = convolutions, maps, contractions

    def geometry(self, edge_vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Kernels.geometry`."""
        r = torch.linalg.vector_norm(edge_vectors, dim=1)
        return self.harmonics(edge_vectors / r.unsqueeze(-1)), r

    def sort(self, receivers: torch.Tensor, n_local: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Nothing: the reference adds edge by edge."""
        return receivers.new_empty(0), receivers.new_empty(0)

    def sum_edges(self, values: torch.Tensor, edges: Edges) -> torch.Tensor:
        """See `Kernels.sum_edges`."""
        return sum_over_edges(values, edges.edge_index, edges.n_local)

    def convolution(self, layer: int, features: torch.Tensor, edges: Edges) -> torch.Tensor:
        """See `Kernels.convolution`."""
        coupling, paths_to = self.convolutions[layer]
        if self.tables is None:
            weights = edges.weights[layer]
        else:
            ends = edges.species.index_select(0, edges.edge_index.flatten()).unflatten(0, (2, -1))
            table = self.tables.tables[layer]
            weights = interpolate(table, self.tables.which(ends), edges.r).unflatten(
                1, (sum(paths_to), -1)
            )
        rows = convolution_operator(
            features,
            edges.harmonics,
            weights,
            coupling.to(weights),
            list(paths_to),
            edges.edge_index,
            edges.n_local,
        )
        messages = by_degree(
            rows, [paths * (2 * degree + 1) for degree, paths in enumerate(paths_to)]
        )
        return self.maps[layer].flat(messages, edges.n_local)

    def contraction(self, layer: int, a: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """See `Kernels.contraction`."""
        coefficients, monomials, row_sum = self.contractions[layer]
        if coefficients.shape[0] > 1:
            coefficients = coefficients.index_select(0, species)
        degrees = split_flat(
            a, species.shape[0], [coefficients.shape[2]] * (self.harmonics.l_max + 1)
        )
        products = contraction_operator(pack_degrees(degrees), coefficients, monomials, row_sum)
        n_degrees = int(row_sum.shape[0] ** 0.5 + 0.5)
        return by_degree(products, [2 * degree + 1 for degree in range(n_degrees)])


def by_degree(rows: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Rows `[n, sum of sizes, C]` as a flat tensor, block after block."""
    return torch.cat([block.flatten() for block in rows.split(list(sizes), dim=1)])
