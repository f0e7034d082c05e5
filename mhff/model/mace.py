"""The multi-head MACE: one trunk, several levels of theory.

I. Batatia et al., arXiv:2206.07697 (MACE); I. Batatia et al., arXiv:2510.25380 (multi-head,
mace-mh-1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from mhff.graph import Graph
from mhff.model.angular import SphericalHarmonics
from mhff.model.config import ModelConfig
from mhff.model.constants import model_constants
from mhff.model.convolution import Edges, Radial, RadialInputs
from mhff.model.interaction import build_interaction
from mhff.model.layers import ElementEmbedding, normal
from mhff.model.network import Network
from mhff.model.product import Product
from mhff.model.radial import RadialBasis, ZBLRepulsion
from mhff.model.readout import READOUTS, LinearReadout, ReferenceEnergies
from mhff.model.state import JointEmbedding
from mhff.ops.convolution import sum_over_edges


class Layer(nn.Module):
    """One step of message passing: interaction, product, readout."""

    def __init__(
        self,
        config: ModelConfig,
        index: int,
        constants: Mapping[str, torch.Tensor],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        readout = READOUTS[config.readout] if index == config.n_layers - 1 > 0 else LinearReadout
        self.interaction = build_interaction(config, index, constants, generator)
        self.product = Product(config, index, constants, generator)
        self.readout = readout(config, constants, generator) if config.has_readout(index) else None

    def forward(
        self, node_feats: torch.Tensor, species: torch.Tensor, edges: Edges
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """New features `[n_local, ...]` and, with a readout, energies `[n_local, n_heads]`."""
        a, skip = self.interaction(node_feats, species, edges)
        node_feats = self.product(a, skip, species[: edges.n_local])
        return node_feats, None if self.readout is None else self.readout(node_feats[:, 0])


class MACE(Network):
    """Per-atom energies of every head as a function of edge vectors and species.

    Forces, virial and stress are derived in `mhff.model.derivatives`.
    """

    layers: Any
    """Each is a `Layer`; torch does not type the elements of a ModuleList."""

    def __init__(
        self,
        config: ModelConfig,
        constants: Mapping[str, torch.Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        """Build with random weights drawn from `seed` (torch's own generators are not touched).

        `constants` are those a model file holds; left out, they are computed.
        """
        super().__init__()
        self.config = config
        self.constants = dict(model_constants(config) if constants is None else constants)
        generator = torch.Generator().manual_seed(seed)
        self.radial_basis = RadialBasis(config, self.constants)
        self.harmonics = SphericalHarmonics(
            [self.constants[f"harmonics.{l}"] for l in range(2, config.l_max + 1)]
        )
        self.embed_radial: Callable[[torch.Tensor, torch.Tensor], Radial] = self.radial_inputs
        self.pair_repulsion = ZBLRepulsion(config, self.constants) if config.zbl else None
        self.node_embedding = ElementEmbedding(
            normal((len(config.elements), config.n_channels), generator)
        )
        self.layers = nn.ModuleList(
            Layer(config, index, self.constants, generator) for index in range(config.n_layers)
        )
        self.reference_energies = ReferenceEnergies(len(config.heads), len(config.elements))
        self.state_embedding = (
            JointEmbedding(config, generator) if config.state_embeddings else None
        )
        self.state_readout = (
            LinearReadout(config, self.constants, generator) if config.state_readout else None
        )

    def forward(self, graph: Graph) -> torch.Tensor:
        """Node energies `[n_local, n_heads]`, eV, float64, of the local atoms of a graph."""
        edges, r = self.embed_edges(graph)
        node_feats = self.embed_nodes(graph.species, graph.state)
        local = graph.species[: graph.n_local]
        energies = []
        if self.pair_repulsion is not None:
            repulsion = self.pair_repulsion(r, *edges.radial.species)
            per_atom = sum_over_edges(repulsion, graph.edge_index, graph.n_local)
            energies.append(per_atom.unsqueeze(-1))
        initial_feats = node_feats
        for layer in self.layers:
            node_feats, energy = layer(node_feats, graph.species, edges)
            if energy is not None:
                energies.append(energy)
        total = self.reference_energies(sum(energies), local)
        if self.state_readout is not None:
            total = total + self.state_readout(initial_feats[: graph.n_local, 0])
        return total

    def embed_edges(self, graph: Graph) -> tuple[Edges, torch.Tensor]:
        """Harmonics, radial basis and envelope of the edges, and their lengths `[E]`."""
        r = torch.linalg.vector_norm(graph.edge_vectors, dim=1)
        harmonics = self.harmonics(graph.edge_vectors / r.unsqueeze(-1))
        ends = graph.species.index_select(0, graph.edge_index.flatten()).unflatten(0, (2, -1))
        radial = self.embed_radial(r, ends)
        return Edges(graph.edge_index, harmonics, radial, graph.n_local, graph.ghost_plan), r

    def radial_inputs(self, r: torch.Tensor, ends: torch.Tensor) -> Radial:
        """Inputs of the radial networks, from distances `[E]` and the species of the ends."""
        return RadialInputs.at(self.radial_basis, r, ends)
