"""Interaction blocks: messages from neighbours become the features A that enter the product.

M = sum over neighbours, rho = learned density of the edges, h = node features, z = element.

| block              | A                                                     | skip     |
|--------------------|-------------------------------------------------------|----------|
| plain              | W_z (linear(M) / avg_num_neighbors)                   | none     |
| residual           | linear(M) / avg_num_neighbors                         | W_z h    |
| density            | W_z (linear(M) / (rho + 1))                           | none     |
| density_residual   | linear(M) / (rho + 1)                                 | W_z h    |
| nonlinear_residual | linear_2(gate(linear_1(M) / (beta rho + alpha)        | linear h |
|                    |               + linear_res(up h)))                    |          |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from mhff.model.config import ModelConfig
from mhff.model.convolution import Convolution, Edges, Radial, RadialInputs
from mhff.model.layers import (
    Activation,
    ElementEmbedding,
    ElementLinear,
    PackedLinear,
    PairNetwork,
    RadialNetwork,
    add_degrees,
    pack_degrees,
    split_degrees,
    uniform,
)
from mhff.ops.convolution import sum_over_edges
from mhff.ops.ghosts import exchange_ghosts

DENSITY_WIDTH = 64
"""Hidden width of the non-linear block's edge density network."""
INITIAL_ALPHA = 20.0
INITIAL_BETA = 0.0
"""Initial normalisation of the non-linear block."""


class Interaction(nn.Module):
    """Base of all blocks: the upward linear map, the exchange with ghosts, the convolution."""

    def __init__(
        self,
        config: ModelConfig,
        layer: int,
        constants: Mapping[str, torch.Tensor],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.has_density = config.block(layer).has_density
        # initial features depend on element and structure only, so those of ghosts are known
        self.exchanges = layer > 0
        self.apply_cutoff = config.apply_cutoff
        n_sent = config.message_lmax(layer) + 1
        edge_channels = config.edge_channels(layer)
        self.linear_up = PackedLinear(
            [config.n_channels] * n_sent, [edge_channels] * n_sent, generator
        )
        self.convolution = Convolution(config, layer, constants[f"convolution.{layer}"])
        self.weight_width = self.convolution.n_paths * edge_channels
        self.message_channels = [paths * edge_channels for paths in self.convolution.paths_to]

    def up(self, node_feats: torch.Tensor, edges: Edges) -> torch.Tensor:
        """Features that neighbours send, `[n_all, (message_lmax + 1)^2, edge_channels]`."""
        features = pack_degrees(self.linear_up(_degrees_for(self.linear_up, node_feats)))
        if self.exchanges and edges.has_ghosts:
            return exchange_ghosts(features, edges.ghost_plan)
        return features

    def with_envelope(self, values: torch.Tensor, radial: RadialInputs) -> torch.Tensor:
        """Edge values times the envelope, unless the radial basis has it already."""
        return values if self.apply_cutoff else values * radial.envelope

    def radial_weights(self, radial: Radial) -> torch.Tensor:
        """Weights of the convolution, `[E, paths * edge_channels]`, zero at the cutoff."""
        raise NotImplementedError

    def edge_density(self, radial: Radial) -> torch.Tensor:
        """Density of each edge, tanh(q^2) with a learned q, `[E, 1]`, if `has_density`."""
        raise NotImplementedError

    def density(self, edge_density: torch.Tensor, edges: Edges) -> torch.Tensor:
        """Density rho of each atom, `[n_local, 1, 1]`."""
        return sum_over_edges(edge_density, edges.edge_index, edges.n_local).unsqueeze(-1)


class NonLinearResidualInteraction(Interaction):
    """RealAgnosticResidualNonLinearInteractionBlock (mace-mh-1; arXiv:2510.25380)."""

    def __init__(
        self,
        config: ModelConfig,
        layer: int,
        constants: Mapping[str, torch.Tensor],
        generator: torch.Generator,
    ) -> None:
        super().__init__(config, layer, constants, generator)
        channels = config.n_channels
        n_elements = len(config.elements)
        self.n_channels = channels
        self.source = ElementEmbedding(uniform((n_elements, channels), 1e-3, generator))
        self.target = ElementEmbedding(uniform((n_elements, channels), 1e-3, generator))
        widths = [*config.radial_mlp, self.weight_width]
        self.radial_network = PairNetwork(config.n_radial, channels, widths, generator)
        self.density_network = PairNetwork(config.n_radial, channels, [DENSITY_WIDTH, 1], generator)
        gated = [channels * (1 + config.l_max)] + [channels] * config.l_max
        every = [channels] * (config.l_max + 1)
        n_sent = config.message_lmax(layer) + 1
        skips = [channels] * (min(config.input_lmax(layer), config.output_lmax(layer)) + 1)
        self.linear_1 = PackedLinear(self.message_channels, gated, generator)
        self.linear_res = PackedLinear(
            [config.edge_channels(layer)] * n_sent, gated[:n_sent], generator
        )
        self.linear_2 = PackedLinear(every, every, generator)
        self.skip = PackedLinear(skips, skips, generator)
        self.alpha = nn.Parameter(torch.tensor(INITIAL_ALPHA, dtype=torch.float32))
        self.beta = nn.Parameter(torch.tensor(INITIAL_BETA, dtype=torch.float32))
        self.activation = Activation("silu", constants["activation.silu"])
        self.gate = Activation("sigmoid", constants["activation.sigmoid"])

    def forward(
        self, node_feats: torch.Tensor, species: torch.Tensor, edges: Edges
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """A `[n_local, (l_max + 1)^2, C]`, and the skip term `[n_local, 2l + 1, C]` of each l."""
        up = self.up(node_feats, edges)
        messages = self.convolution(up, self.radial_weights(edges.radial), edges)
        rho = self.density(self.edge_density(edges.radial), edges)
        norm = self.beta * rho + self.alpha
        normalised = [message / norm for message in self.linear_1(messages)]
        residual = self.linear_res(split_degrees(up[: edges.n_local]))
        a = self.linear_2(self._gate(add_degrees(normalised, residual)))
        skip = self.skip(_degrees_for(self.skip, node_feats[: edges.n_local]))
        return pack_degrees(a), skip

    def radial_weights(self, radial: Radial) -> torch.Tensor:
        """See `Interaction.radial_weights`."""
        return radial.evaluate(self._hidden, self.radial_network.last())

    def _hidden(self, radial: RadialInputs) -> torch.Tensor:
        return self.with_envelope(self.radial_network.hidden(*self._inputs(radial)), radial)

    def edge_density(self, radial: Radial) -> torch.Tensor:
        """See `Interaction.edge_density`."""
        return radial.evaluate(self._density)

    def _density(self, radial: RadialInputs) -> torch.Tensor:
        q = self.density_network(*self._inputs(radial))
        return self.with_envelope(torch.tanh(q**2), radial)

    def _inputs(self, radial: RadialInputs) -> tuple[torch.Tensor, ...]:
        return (radial.basis, self.source.table(), self.target.table(), *radial.species)

    def _gate(self, z: list[torch.Tensor]) -> list[torch.Tensor]:
        """silu of the scalars; each l > 0 times the sigmoid of its own gates, also scalars."""
        scalars, *gates = z[0].split(self.n_channels, dim=2)
        gated = [self.gate(gate) * x for gate, x in zip(gates, z[1:], strict=True)]
        return [self.activation(scalars), *gated]


class ClassicInteraction(Interaction):
    """The blocks of MACE-MP and MACE-OFF: `plain`, `residual`, and both with a `density`."""

    def __init__(
        self,
        config: ModelConfig,
        layer: int,
        constants: Mapping[str, torch.Tensor],
        generator: torch.Generator,
    ) -> None:
        super().__init__(config, layer, constants, generator)
        block = config.block(layer)
        n_elements = len(config.elements)
        every = [config.n_channels] * (config.l_max + 1)
        n_skips = min(config.input_lmax(layer), config.output_lmax(layer)) + 1
        widths = [config.n_radial, *config.radial_mlp, self.weight_width]
        self.avg_num_neighbors = config.avg_num_neighbors
        self.radial_network = RadialNetwork(widths, constants, generator)
        self.linear = PackedLinear(self.message_channels, every, generator)
        self.density_network = (
            RadialNetwork([config.n_radial, 1], constants, generator) if block.has_density else None
        )
        self.skip = None
        self.mix = None
        if block.is_residual:
            self.skip = ElementLinear(n_elements, every[:n_skips], every[:n_skips], generator)
        else:
            self.mix = ElementLinear(n_elements, every, every, generator)

    def forward(
        self, node_feats: torch.Tensor, species: torch.Tensor, edges: Edges
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """A `[n_local, (l_max + 1)^2, C]`, and the skip term `[n_local, 2l + 1, C]` of each l.

        There is no skip term in blocks that are not residual.
        """
        local = species[: edges.n_local]
        up = self.up(node_feats, edges)
        messages = self.convolution(up, self.radial_weights(edges.radial), edges)
        norm = self._norm(edges)
        a = [message / norm for message in self.linear(messages)]
        if self.mix is not None:
            a = self.mix(a, local)
        if self.skip is None:
            return pack_degrees(a), []
        skip = self.skip(_degrees_for(self.skip, node_feats[: edges.n_local]), local)
        return pack_degrees(a), skip

    def _norm(self, edges: Edges) -> torch.Tensor | float:
        """Divisor of the messages: rho + 1, or the mean number of neighbours."""
        if not self.has_density:
            return self.avg_num_neighbors
        return self.density(self.edge_density(edges.radial), edges) + 1

    def radial_weights(self, radial: Radial) -> torch.Tensor:
        """See `Interaction.radial_weights`."""
        return radial.evaluate(self._hidden, self.radial_network.last())

    def _hidden(self, radial: RadialInputs) -> torch.Tensor:
        return self.with_envelope(self.radial_network.hidden(radial.basis), radial)

    def edge_density(self, radial: Radial) -> torch.Tensor:
        """See `Interaction.edge_density`."""
        return radial.evaluate(self._density)

    def _density(self, radial: RadialInputs) -> torch.Tensor:
        if self.density_network is None:
            raise ValueError("this block has no density")
        return self.with_envelope(torch.tanh(self.density_network(radial.basis) ** 2), radial)


def _degrees_for(
    linear: PackedLinear | ElementLinear, features: torch.Tensor
) -> list[torch.Tensor]:
    """The degrees of packed features that a linear map takes."""
    return split_degrees(features)[: len(linear.weights)]


def build_interaction(
    config: ModelConfig,
    layer: int,
    constants: Mapping[str, torch.Tensor],
    generator: torch.Generator,
) -> Interaction:
    """The interaction block of a layer."""
    if config.block(layer).is_nonlinear:
        return NonLinearResidualInteraction(config, layer, constants, generator)
    return ClassicInteraction(config, layer, constants, generator)
