"""Radial functions of a lowered network: tables of the distance, or the radial networks themselves.

They depend on the elements of both ends, or on none; `table_of` says which table a pair of elements
takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import nn

from mhff.model.interaction import Edges, Interaction
from mhff.model.mace import MACE
from mhff.model.radial import RadialBasis
from mhff.ops.spline import Spline
from mhff_deploy.lowering.tables import Functions, Table, interpolate, tabulate

R_MIN = 0.4
"""Where tables begin, A; at shorter distances radial functions keep their value, and the pair
repulsion is exact.
"""


class OfEdges(NamedTuple):
    """Radial functions at the distances of E edges."""

    r: torch.Tensor
    """`[E]`, A; within the tables, where there are tables."""
    weights: tuple[torch.Tensor, ...]
    """Convolution weights of each layer, `[E, paths, channels]`; none where kernels look them up in
    tables.
    """
    densities: torch.Tensor | None
    """Edge densities of the layers that have one, `[E, layers]`; None where no layer has."""


class RadialTables(nn.Module):
    """Radial functions from tables. Kernels look convolution weights up; densities are few numbers,
    plain torch will do.
    """

    table_of: torch.Tensor
    densities: torch.Tensor | None

    def __init__(self, network: MACE, n_intervals: int) -> None:
        super().__init__()
        self.r_max = network.config.r_max

        self.spline = Spline(R_MIN, self.r_max, n_intervals)

        def table(functions: Functions) -> Table:
            return tabulate(functions, R_MIN, self.r_max, n_intervals)

        self.tables = [
            table(radial_functions(network, layer)) for layer in range(network.config.n_layers)
        ]
        densities = edge_densities(network)
        self.register_buffer(
            "densities", None if densities is None else table(densities).coefficients
        )
        self.register_buffer("table_of", table_of(network))

    def forward(self, r: torch.Tensor, ends: torch.Tensor) -> OfEdges:
        """From distances `[E]` and the species of sender and receiver, `[2, E]`."""
        r = r.clamp(R_MIN, self.r_max)
        if self.densities is None:
            return OfEdges(r, (), None)
        densities = Table(self.densities, self.spline)
        return OfEdges(r, (), interpolate(densities, self.which(ends), r))

    def which(self, ends: torch.Tensor) -> torch.Tensor:
        """Table of each edge, `[E]`."""
        return self.table_of.flatten().index_select(0, ends[0] * len(self.table_of) + ends[1])


class RadialNetworks(nn.Module):
    """Radial functions from the radial networks, evaluated for each edge."""

    interactions: Any
    """A `mhff.model.interaction.Interaction` each; torch does not type what a ModuleList holds."""

    def __init__(self, network: MACE) -> None:
        super().__init__()
        self.radial_basis = network.radial_basis
        self.interactions = nn.ModuleList(layer.interaction for layer in network.layers)

    def forward(self, r: torch.Tensor, ends: torch.Tensor) -> OfEdges:
        """From distances `[E]` and the species of sender and receiver, `[2, E]`."""
        edges = _edges(self.radial_basis, r, ends)
        weights = [
            one.radial_weights(edges).unflatten(1, (one.convolution.n_paths, -1))
            for one in self.interactions
        ]
        return OfEdges(r, tuple(weights), _densities(self.interactions, edges))


def depends_on_pair(network: MACE) -> bool:
    """Whether the radial functions depend on the elements of both ends."""
    config = network.config
    nonlinear = any(config.block(layer).is_nonlinear for layer in range(config.n_layers))
    return config.distance_transform != "none" or nonlinear


def table_of(network: MACE) -> torch.Tensor:
    """Which table an edge takes, `[n_elements, n_elements]`: by the species of sender and receiver."""
    n_elements = len(network.config.elements)
    if depends_on_pair(network):
        return torch.arange(n_elements**2).reshape(n_elements, n_elements)
    return torch.zeros(n_elements, n_elements, dtype=torch.int64)


def radial_functions(network: MACE, layer: int) -> Functions:
    """Convolution weights of a layer, `[n_tables, n, paths * edge_channels]`, of a float64 network."""
    interaction: Interaction = network.layers[layer].interaction
    return lambda r: interaction.radial_weights(_every_pair(network, r)).unflatten(0, (-1, len(r)))


def edge_densities(network: MACE) -> Functions | None:
    """Edge densities of all layers that have one, `[n_tables, n, layers]`; None where no layer has."""
    interactions: list[Interaction] = [layer.interaction for layer in network.layers]

    def functions(r: torch.Tensor) -> torch.Tensor:
        densities = _densities(interactions, _every_pair(network, r))
        assert densities is not None
        return densities.unflatten(0, (-1, len(r)))

    probe = _every_pair(network, torch.ones(1, dtype=torch.float64))
    return None if _densities(interactions, probe) is None else functions


def _densities(interactions: Iterable[Interaction], edges: Edges) -> torch.Tensor | None:
    """Edge densities of the layers that have one, `[E, layers]`."""
    found = [density for one in interactions if (density := one.edge_density(edges)) is not None]
    return torch.cat(found, dim=1) if found else None


def _every_pair(network: MACE, r: torch.Tensor) -> Edges:
    """Edges of all distances for every table, one after the other."""
    n_elements = len(network.config.elements) if depends_on_pair(network) else 1
    every = torch.arange(n_elements)
    sender = every.repeat_interleave(n_elements * len(r))
    receiver = every.repeat_interleave(len(r)).repeat(n_elements)
    return _edges(network.radial_basis, r.repeat(n_elements**2), torch.stack([sender, receiver]))


def _edges(basis: RadialBasis, r: torch.Tensor, ends: torch.Tensor) -> Edges:
    """What radial functions read of edges with distances `r [E]` between the species `ends [2, E]`."""
    radial, envelope = basis(r, ends[0], ends[1])
    nothing = radial.new_zeros(0)
    return Edges(nothing, ends, nothing, radial, envelope, 0, nothing)
