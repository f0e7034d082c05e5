"""Interaction blocks: messages from neighbours become the features A that enter the product."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from mhff.model.config import ModelConfig
from mhff.model.coupling import convolution_paths
from mhff.model.exact import ExactConstants
from mhff.model.layers import (
    SIGMOID_MOMENT,
    ElementEmbedding,
    ElementLinear,
    PackedLinear,
    PairNetwork,
    RadialNetwork,
    pack_degrees,
    scaled_silu,
    split_degrees,
    uniform,
)
from mhff.ops.convolution import convolution, sum_over_edges
from mhff.ops.ghosts import exchange_ghosts

DENSITY_WIDTH = 64
"""Hidden width of the edge density network."""
INITIAL_ALPHA, INITIAL_BETA = 20.0, 0.0
"""Start values of the density normalisation."""


class Edges(NamedTuple):
    """What an interaction knows of the edges j -> i; E edges, senders among n_all atoms, receivers among n_local."""

    edge_index: torch.Tensor
    """`[2, E]`: sender, receiver."""
    species: torch.Tensor
    """`[2, E]`: species index of sender and receiver."""
    harmonics: torch.Tensor
    """`[E, (l_max + 1)^2]`."""
    radial: torch.Tensor
    """`[E, n_radial]`."""
    envelope: torch.Tensor
    """`[E, 1]`."""
    n_local: int
    ghost_plan: torch.Tensor | None
    """Where ghosts' features come from (`mhff.ops.ghosts`); None where all atoms are local."""


class Convolution(ExactConstants):
    """Messages from neighbours, `[n_local, 2l + 1, paths_to[l] * edge_channels]` for each l."""

    coupling: torch.Tensor

    def __init__(self, config: ModelConfig, layer: int, coupling: torch.Tensor) -> None:
        super().__init__()
        targets = [path[2] for path in convolution_paths(config.input_lmax(layer), config.l_max)]
        self.n_paths = len(targets)
        self.paths_to = [targets.count(degree) for degree in range(config.l_max + 1)]
        self.operator = convolution
        self.add_constant("coupling", coupling)

    def forward(self, features: torch.Tensor, weights: torch.Tensor, edges: Edges) -> list[torch.Tensor]:
        """`features [n_all, (input_lmax + 1)^2, C]`, `weights [E, paths * C]`."""
        per_path = weights.unflatten(1, (self.n_paths, features.shape[2]))
        messages = self.operator(
            features, edges.harmonics, per_path, self.coupling, self.paths_to, edges.edge_index, edges.n_local
        )
        blocks = messages.split([paths * (2 * degree + 1) for degree, paths in enumerate(self.paths_to)], dim=1)
        return [block.unflatten(1, (2 * degree + 1, -1)).flatten(2) for degree, block in enumerate(blocks)]


class Interaction(nn.Module):
    """What the interaction blocks share: the upward linear map, its exchange with ghosts, the convolution."""

    def __init__(self, config: ModelConfig, layer: int, coupling: torch.Tensor, generator: torch.Generator) -> None:
        super().__init__()
        self.first = layer == 0
        self.apply_cutoff = config.apply_cutoff
        degrees = config.input_lmax(layer) + 1
        self.linear_up = PackedLinear([config.n_channels] * degrees, [config.edge_channels] * degrees, generator)
        self.convolution = Convolution(config, layer, coupling)
        self.weight_width = self.convolution.n_paths * config.edge_channels
        self.message_channels = [paths * config.edge_channels for paths in self.convolution.paths_to]

    def up(self, node_feats: torch.Tensor, edges: Edges) -> torch.Tensor:
        """Features that neighbours send, `[n_all, (input_lmax + 1)^2, edge_channels]`.

        The first layer's features depend on the species only, so ghosts have theirs already; later ones are exchanged.
        """
        features = pack_degrees(self.linear_up(split_degrees(node_feats)))
        return features if self.first or edges.ghost_plan is None else exchange_ghosts(features, edges.ghost_plan)

    def with_envelope(self, values: torch.Tensor, edges: Edges) -> torch.Tensor:
        """Edge values times the envelope, unless the radial basis carries it already."""
        return values if self.apply_cutoff else values * edges.envelope


class NonLinearResidualInteraction(Interaction):
    """RealAgnosticResidualNonLinearInteractionBlock (mace-mh-1; arXiv:2510.25380).

    A = linear_2(gate(linear_1(M) / (beta rho + alpha) + linear_res(up))), with the learned density rho of the edges.
    """

    def __init__(self, config: ModelConfig, layer: int, coupling: torch.Tensor, generator: torch.Generator) -> None:
        super().__init__(config, layer, coupling, generator)
        channels, n_elements = config.n_channels, len(config.elements)
        self.n_channels = channels
        self.source = ElementEmbedding(uniform((n_elements, channels), 1e-3, generator))
        self.target = ElementEmbedding(uniform((n_elements, channels), 1e-3, generator))
        widths = [*config.radial_mlp, self.weight_width]
        self.radial_network = PairNetwork(config.n_radial, channels, widths, generator)
        self.density_network = PairNetwork(config.n_radial, channels, [DENSITY_WIDTH, 1], generator)
        gated = [channels * (1 + config.l_max)] + [channels] * config.l_max
        n_inputs, n_skips = config.input_lmax(layer) + 1, min(config.input_lmax(layer), config.output_lmax(layer)) + 1
        self.linear_1 = PackedLinear(self.message_channels, gated, generator)
        self.linear_res = PackedLinear([config.edge_channels] * n_inputs, gated[:n_inputs], generator)
        self.linear_2 = PackedLinear([channels] * (config.l_max + 1), [channels] * (config.l_max + 1), generator)
        self.skip = PackedLinear([channels] * n_skips, [channels] * n_skips, generator)
        self.alpha = nn.Parameter(torch.tensor(INITIAL_ALPHA, dtype=torch.float32))
        self.beta = nn.Parameter(torch.tensor(INITIAL_BETA, dtype=torch.float32))

    def forward(
        self, node_feats: torch.Tensor, species: torch.Tensor, edges: Edges
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """A `[n_local, (l_max + 1)^2, C]` and the skip term, one tensor `[n_local, 2l + 1, C]` per l."""
        up = self.up(node_feats, edges)
        weights = self.with_envelope(self._on_edges(self.radial_network, edges), edges)
        messages = self.convolution(up, weights, edges)
        edge_density = self.with_envelope(torch.tanh(self._on_edges(self.density_network, edges) ** 2), edges)
        density = sum_over_edges(edge_density, edges.edge_index, edges.n_local)
        norm = (self.beta * density + self.alpha).unsqueeze(-1)
        residual = self.linear_res(split_degrees(up[: edges.n_local]))
        z = [message / norm for message in self.linear_1(messages)]
        z = [message + residual[degree] if degree < len(residual) else message for degree, message in enumerate(z)]
        skip = split_degrees(node_feats[: edges.n_local])[: len(self.skip.weights)]
        return pack_degrees(self.linear_2(self._gate(z))), self.skip(skip)

    def _on_edges(self, network: PairNetwork, edges: Edges) -> torch.Tensor:
        return network(edges.radial, self.source.table(), self.target.table(), edges.species[0], edges.species[1])

    def _gate(self, z: list[torch.Tensor]) -> list[torch.Tensor]:
        """silu on the scalars; every l > 0 is multiplied by the sigmoid of its own gate scalars."""
        scalars, *gates = z[0].split(self.n_channels, dim=2)
        gated = [SIGMOID_MOMENT * torch.sigmoid(gate) * vector for gate, vector in zip(gates, z[1:], strict=True)]
        return [scaled_silu(scalars), *gated]


class ResidualInteraction(Interaction):
    """RealAgnosticResidualInteractionBlock (MACE-MP-0, MACE-OFF): A = linear(M) / avg_num_neighbors."""

    def __init__(self, config: ModelConfig, layer: int, coupling: torch.Tensor, generator: torch.Generator) -> None:
        super().__init__(config, layer, coupling, generator)
        channels = config.n_channels
        n_skips = min(config.input_lmax(layer), config.output_lmax(layer)) + 1
        self.avg_num_neighbors = config.avg_num_neighbors
        self.radial_network = RadialNetwork([config.n_radial, *config.radial_mlp, self.weight_width], generator)
        self.linear = PackedLinear(self.message_channels, [channels] * (config.l_max + 1), generator)
        self.skip = ElementLinear(len(config.elements), [channels] * n_skips, [channels] * n_skips, generator)

    def forward(
        self, node_feats: torch.Tensor, species: torch.Tensor, edges: Edges
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """A `[n_local, (l_max + 1)^2, C]` and the skip term, one tensor `[n_local, 2l + 1, C]` per l."""
        weights = self.with_envelope(self.radial_network(edges.radial), edges)
        messages = self.convolution(self.up(node_feats, edges), weights, edges)
        skip = split_degrees(node_feats[: edges.n_local])[: len(self.skip.weights)]
        return pack_degrees(self.linear(messages)) / self.avg_num_neighbors, self.skip(skip, species[: edges.n_local])


INTERACTIONS = {"nonlinear_residual": NonLinearResidualInteraction, "residual": ResidualInteraction}
"""Interaction blocks by their name in `ModelConfig.interaction`."""
