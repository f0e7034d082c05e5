"""The heavy operations of a lowered network: their interface, and the reference in plain torch.

Kernels in C++ and Triton (`mhff_deploy.kernels`) replace the reference. Messages and products are
flat and ordered by degree: for each l a block `[n, 2l + 1, width]`, so that the linear map of each
degree is one matrix product on a view.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from mhff.model.interaction import Interaction
from mhff.model.layers import pack_degrees
from mhff.model.mace import MACE
from mhff.model.product import Product
from mhff.ops.contraction import contraction_operator
from mhff.ops.convolution import convolution_operator, sum_over_edges
from mhff.ops.flat import split_flat
from mhff_deploy.lowering.mixing import GateCall, gates_of, message_map
from mhff_deploy.radial.inputs import TableInputs, choose_table
from mhff_deploy.radial.networks import RadialTables
from mhff_deploy.radial.tables import Table, interpolate


class KernelEdges(NamedTuple):
    """Edges in the form that kernels read."""

    edge_index: torch.Tensor
    """`[2, E]`: sender, receiver."""
    harmonics: torch.Tensor
    """`[E, (l_max + 1)^2]`."""
    r: torch.Tensor
    """Distances `[E]`, A; inside the tables if there are any."""
    species: torch.Tensor
    """`[n_all]`: species index of every atom."""
    n_local: int
    order: torch.Tensor
    """Edges in the order of their receivers; empty in plain torch."""
    begin: torch.Tensor
    """The position in that order at which each receiver's edges begin; empty in plain torch."""
    weights: Sequence[torch.Tensor] = ()
    """Convolution weights of each layer, `[E, paths, channels]`; empty if they are in tables."""
    tables: TableInputs | None = None
    """Tables of the convolution weights for kernels that do not hold their own."""


class Kernels(Protocol):
    """The heavy operations of one lowered network, in one precision and on one device."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the constants and of all results."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the constants are."""
        ...

    @property
    def table_inputs(self) -> TableInputs | None:
        """Tables that are inputs of a program; None if there are none, or the kernels hold them."""
        ...

    def geometry(self, edge_vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Harmonics `[E, B]` and distances `[E]`."""
        ...

    def sort(self, receivers: torch.Tensor, n_local: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`KernelEdges.order` and `KernelEdges.begin`."""
        ...

    def sum_edges(self, values: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """Sums of values `[E, ...]` over each receiver's edges, `[n_local, ...]`."""
        ...

    def convolution(self, layer: int, features: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """Flat mapped messages of a layer from features `[n_all, D, channels]`.

        Radial weights are given with the edges or read from tables. The linear map
        (`mixing.message_map`) is part of the kernel, because the messages before it are large:
        channels times paths to each l.
        """
        ...

    def gate(self, layer: int) -> GateCall:
        """Flat features of a non-linear layer from mapped messages: `mixing.Gate`."""
        ...

    def contraction(self, layer: int, a: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Flat products of a layer from flat features of the atoms with these species."""
        ...


class TorchKernels(nn.Module):
    """The reference: plain torch, in any precision, on any device."""

    convolutions: Any
    """Each is a `TorchConvolution`; torch does not type the elements of a ModuleList."""
    contractions: Any
    """Each is a `TorchContraction`."""
    table_inputs = None

    def __init__(self, network: MACE, tables: RadialTables | None) -> None:
        """`network`: in float64, on the CPU; `tables`: None if weights are given with the edges."""
        super().__init__()
        self.harmonics = copy.deepcopy(network.harmonics)
        self.convolutions = nn.ModuleList(
            TorchConvolution(layer.interaction, tables, index)
            for index, layer in enumerate(network.layers)
        )
        self.gates = nn.ModuleDict({str(layer): gate for layer, gate in gates_of(network).items()})
        self.contractions = nn.ModuleList(
            TorchContraction(layer.product, network.config.l_max) for layer in network.layers
        )

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the constants."""
        return self.contractions[0].coefficients.dtype

    @property
    def device(self) -> torch.device:
        """Where the constants are."""
        return self.contractions[0].coefficients.device

    def geometry(self, edge_vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Kernels.geometry`."""
        r = torch.linalg.vector_norm(edge_vectors, dim=1)
        return self.harmonics(edge_vectors / r.unsqueeze(-1)), r

    def sort(self, receivers: torch.Tensor, n_local: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Empty tensors: plain torch adds edge by edge."""
        return receivers.new_empty(0), receivers.new_empty(0)

    def sum_edges(self, values: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """See `Kernels.sum_edges`."""
        return sum_over_edges(values, edges.edge_index, edges.n_local)

    def convolution(self, layer: int, features: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """See `Kernels.convolution`."""
        return self.convolutions[layer](features, edges)

    def gate(self, layer: int) -> GateCall:
        """See `Kernels.gate`."""
        return self.gates[str(layer)]

    def contraction(self, layer: int, a: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """See `Kernels.contraction`."""
        return self.contractions[layer](a, species)


class TorchConvolution(nn.Module):
    """Messages of a layer and the linear map that follows them."""

    coupling: torch.Tensor
    coefficients: torch.Tensor | None
    table_of: torch.Tensor | None

    def __init__(self, interaction: Interaction, tables: RadialTables | None, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.paths_to = interaction.convolution.paths_to
        self.rows_to = interaction.convolution.rows_to
        self.map = message_map(interaction)
        table = None if tables is None else tables.weights[layer]
        self.spline = None if table is None else table.spline
        self.register_buffer("coupling", interaction.convolution.coupling.clone())
        self.register_buffer("coefficients", None if table is None else table.coefficients)
        self.register_buffer("table_of", None if tables is None else tables.table_of)

    def forward(self, features: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """Flat mapped messages from features `[n_all, D, channels]`."""
        rows = convolution_operator(
            features,
            edges.harmonics,
            self._weights(edges),
            self.coupling,
            self.paths_to,
            edges.edge_index,
            edges.n_local,
        )
        return self.map.flat(by_degree(rows, self.rows_to), edges.n_local)

    def _weights(self, edges: KernelEdges) -> torch.Tensor:
        """Radial weights `[E, paths, channels]`."""
        if self.coefficients is None or self.table_of is None or self.spline is None:
            return edges.weights[self.layer]
        ends = edges.species.index_select(0, edges.edge_index.flatten()).unflatten(0, (2, -1))
        table = Table(self.coefficients, self.spline)
        values = interpolate(table, choose_table(self.table_of, ends), edges.r)
        return values.unflatten(1, (sum(self.paths_to), -1))


class TorchContraction(nn.Module):
    """Symmetric contraction of a layer."""

    coefficients: torch.Tensor
    monomials: torch.Tensor
    row_sum: torch.Tensor

    def __init__(self, product: Product, l_max: int) -> None:
        super().__init__()
        self.l_max = l_max
        self.register_buffer("coefficients", product_coefficients(product))
        self.register_buffer("monomials", product.monomials.clone())
        self.register_buffer("row_sum", product.row_sum.clone())

    def forward(self, a: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Flat products from flat features of the atoms with these species."""
        coefficients = self.coefficients
        if coefficients.shape[0] > 1:
            coefficients = coefficients.index_select(0, species)
        degrees = split_flat(a, species.shape[0], [coefficients.shape[2]] * (self.l_max + 1))
        products = contraction_operator(
            pack_degrees(degrees), coefficients, self.monomials, self.row_sum
        )
        n_degrees = int(self.row_sum.shape[0] ** 0.5 + 0.5)
        return by_degree(products, [2 * degree + 1 for degree in range(n_degrees)])


def product_coefficients(product: Product) -> torch.Tensor:
    """Coefficients of a layer's contraction, `[n_sets, Q, C]` (`mhff.ops.contraction`)."""
    return torch.matmul(product.basis, product.weights.detach())


def by_degree(rows: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Rows `[n, sum of sizes, C]` as a flat tensor, block after block."""
    return torch.cat([block.flatten() for block in rows.split(list(sizes), dim=1)])
