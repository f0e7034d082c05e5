"""Radial functions of a lowered network: tables of the distance, or the radial networks themselves.

They depend on the elements of both ends or on none; `RadialTables.table_of` says which.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from mhff.model.convolution import RadialInputs
from mhff.model.interaction import Interaction
from mhff.model.mace import MACE
from mhff.model.radial import RadialBasis
from mhff.neighbours import MIN_DISTANCE
from mhff.ops.spline import Spline
from mhff_deploy.radial.tables import Functions, Table, interpolate, tabulate

MAX_TABLE_BYTES = 1 << 29
"""Largest size of tables; larger networks keep their radial networks."""
RADIAL_PARTS = ("radial_network", "density_network", "source", "target")
"""Modules of an interaction that make up its radial functions."""
TYPICAL_INTERVALS = 256
"""Number of intervals from which the size of tables is estimated before they are made."""


@dataclass(frozen=True)
class RadialTables:
    """Tables of all radial functions of a network, in float64, on the CPU.

    They begin at `MIN_DISTANCE`, below which atoms coincide, so they hold at every distance.
    """

    spline: Spline
    """The knots of all tables."""
    weights: tuple[Table, ...]
    """Convolution weights of each layer, `paths * edge_channels` wide."""
    densities: Table | None
    """Edge densities of the layers that have one; None if no layer has."""
    table_of: torch.Tensor
    """Index of the table by the species of sender and receiver, `[n_elements, n_elements]`."""


class RadialValues(NamedTuple):
    """Radial functions at the distances of E edges."""

    r: torch.Tensor
    """Distances `[E]`, A; inside the tables if there are any."""
    weights: tuple[torch.Tensor, ...]
    """Convolution weights of each layer, `[E, paths, channels]`; none if kernels read tables."""
    densities: torch.Tensor | None
    """Edge densities of the layers that have one, `[E, layers]`; None if no layer has."""


class TabulatedRadial(nn.Module):
    """Edge densities from tables; convolution weights are left to the kernels' own tables.

    Densities are a few numbers per edge, so plain torch is quick enough.
    """

    coefficients: torch.Tensor
    table_of: torch.Tensor

    def __init__(self, tables: RadialTables) -> None:
        super().__init__()
        self.spline = tables.spline
        self.has_densities = tables.densities is not None
        if tables.densities is not None:
            self.register_buffer("coefficients", tables.densities.coefficients)
            self.register_buffer("table_of", tables.table_of)

    def forward(self, r: torch.Tensor, ends: torch.Tensor) -> RadialValues:
        """From distances `[E]` and the species of sender and receiver, `[2, E]`."""
        r = r.clamp(self.spline.r_min, self.spline.r_max)
        if not self.has_densities:
            return RadialValues(r, (), None)
        return RadialValues(r, (), self._densities(r, ends))

    def _densities(self, r: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        table = Table(self.coefficients, self.spline)
        return interpolate(table, choose_table(self.table_of, ends), r)


class RadialNetworks(nn.Module):
    """The radial networks, evaluated for each edge."""

    interactions: Any
    """Each is an `Interaction`; torch does not type the elements of a ModuleList."""

    def __init__(self, network: MACE) -> None:
        super().__init__()
        self.has_densities = network.config.has_densities
        self.radial_basis = copy.deepcopy(network.radial_basis)
        self.n_paths = [layer.interaction.convolution.n_paths for layer in network.layers]
        self.interactions = nn.ModuleList(
            _radial_part(layer.interaction) for layer in network.layers
        )

    def forward(self, r: torch.Tensor, ends: torch.Tensor) -> RadialValues:
        """From distances `[E]` and the species of sender and receiver, `[2, E]`."""
        inputs = _radial_inputs(self.radial_basis, r, ends)
        weights = [
            interaction.radial_weights(inputs).unflatten(1, (n_paths, -1))
            for interaction, n_paths in zip(self.interactions, self.n_paths, strict=True)
        ]
        densities = _densities(self.interactions, inputs) if self.has_densities else None
        return RadialValues(r, tuple(weights), densities)


def _radial_part(interaction: Interaction) -> Interaction:
    """A copy of an interaction with its radial networks only."""
    others = [part for name, part in interaction.named_children() if name not in RADIAL_PARTS]
    return copy.deepcopy(interaction, {id(part): None for part in others})


def tabulate_radial(network: MACE, n_intervals: int) -> RadialTables:
    """Tables of a network's radial functions; `network` in float64, on the CPU."""
    spline = Spline(MIN_DISTANCE, network.config.r_max, n_intervals)
    weights = weight_functions(network)
    densities = _edge_densities(network) if network.config.has_densities else None
    return RadialTables(
        spline,
        tuple(tabulate(functions, spline) for functions in weights),
        None if densities is None else tabulate(densities, spline),
        _table_of(network),
    )


def weight_functions(network: MACE) -> list[Functions]:
    """Convolution weights of each layer as functions of the distance."""
    return [_weights(network, layer) for layer in range(network.config.n_layers)]


def table_bytes(network: MACE) -> int:
    """Estimated size of a network's tables in float32."""
    widths = sum(layer.interaction.weight_width for layer in network.layers)
    n_tables = len(network.config.elements) ** 2 if network.config.radial_of_pairs else 1
    return int(4 * n_tables * TYPICAL_INTERVALS * widths)


def choose_table(table_of: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Table of each edge `[E]` by the species of sender and receiver, `[2, E]`."""
    return table_of.flatten().index_select(0, ends[0] * len(table_of) + ends[1])


def _table_of(network: MACE) -> torch.Tensor:
    n_elements = len(network.config.elements)
    if network.config.radial_of_pairs:
        return torch.arange(n_elements**2).reshape(n_elements, n_elements)
    return torch.zeros(n_elements, n_elements, dtype=torch.int64)


def _weights(network: MACE, layer: int) -> Functions:
    """Convolution weights of a layer, `[n_tables, n, paths * edge_channels]`."""
    interaction: Interaction = network.layers[layer].interaction

    def weights(r: torch.Tensor) -> torch.Tensor:
        return interaction.radial_weights(_every_pair(network, r)).unflatten(0, (-1, len(r)))

    return weights


def _edge_densities(network: MACE) -> Functions:
    """Edge densities of the layers that have one, `[n_tables, n, layers]`."""
    interactions: list[Interaction] = [layer.interaction for layer in network.layers]

    def densities(r: torch.Tensor) -> torch.Tensor:
        return _densities(interactions, _every_pair(network, r)).unflatten(0, (-1, len(r)))

    return densities


def _densities(interactions: Iterable[Interaction], inputs: RadialInputs) -> torch.Tensor:
    """Edge densities of the layers that have one, `[E, layers]`; at least one has."""
    columns = [each.edge_density(inputs) for each in interactions if each.has_density]
    return torch.cat(columns, dim=1)


def _every_pair(network: MACE, r: torch.Tensor) -> RadialInputs:
    """All distances for each table, one table after the other."""
    n_elements = len(network.config.elements) if network.config.radial_of_pairs else 1
    every = torch.arange(n_elements)
    sender = every.repeat_interleave(n_elements * len(r))
    receiver = every.repeat_interleave(len(r)).repeat(n_elements)
    ends = torch.stack([sender, receiver])
    return _radial_inputs(network.radial_basis, r.repeat(n_elements**2), ends)


def _radial_inputs(basis: RadialBasis, r: torch.Tensor, ends: torch.Tensor) -> RadialInputs:
    """Inputs of the radial networks for distances `r [E]` between the species `ends [2, E]`."""
    values, envelope = basis(r, ends[0], ends[1])
    return RadialInputs(ends, values, envelope)
