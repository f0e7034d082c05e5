"""The multi-head MACE: one trunk, several levels of theory.

I. Batatia et al., arXiv:2206.07697 (MACE); I. Batatia et al., arXiv:2510.25380 (multi-head,
mace-mh-1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mhff.model.angular import SphericalHarmonics
from mhff.model.config import ModelConfig
from mhff.model.constants import model_constants
from mhff.model.interaction import Edges, build_interaction
from mhff.model.layers import ElementEmbedding, normal
from mhff.model.product import Product
from mhff.model.radial import RadialBasis, ZBLRepulsion
from mhff.model.readout import READOUTS, LinearReadout, ReferenceEnergies
from mhff.model.state import DEFAULT_STATE, JointEmbedding
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
        """New features `[n_local, ...]` and this layer's energies `[n_local, n_heads]`, if it has a
        readout.
        """
        a, skip = self.interaction(node_feats, species, edges)
        node_feats = self.product(a, skip, species[: edges.n_local])
        return node_feats, None if self.readout is None else self.readout(node_feats[:, 0])


class MACE(nn.Module):
    """Per-atom energies of every head as a function of edge vectors and species.

    Forces, virial and stress are derived in `mhff.model.derivatives`.
    """

    layers: Any
    """A `Layer` each; torch does not type what a ModuleList holds."""

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

    def forward(
        self,
        edge_vectors: torch.Tensor,
        edge_index: torch.Tensor,
        species: torch.Tensor,
        n_local: int,
        ghost_plan: torch.Tensor | None = None,
        state: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Node energies `[n_local, n_heads]`, eV, float64.

        `edge_vectors [E, 3]` = x_receiver - x_sender(image), A; `edge_index [2, E]`: sender among
        all atoms, receiver among the first `n_local`; `species [n_all]`: indices into
        `config.elements`; `ghost_plan`: owners of the atoms beyond `n_local` (`mhff.ops.ghosts`),
        needed where n_all > n_local; `state [n_all, 2]`: total charge and spin multiplicity of each
        atom's structure, neutral singlets where it is left out.
        """
        edges, r = self.embed_edges(edge_vectors, edge_index, species, n_local, ghost_plan)
        node_feats = self.embed_nodes(species, state)
        state_energies = (
            0.0 if self.state_readout is None else self.state_readout(node_feats[:n_local, 0])
        )
        energies = []
        if self.pair_repulsion is not None:
            repulsion = self.pair_repulsion(r, edges.species[0], edges.species[1])
            energies.append(sum_over_edges(repulsion, edge_index, n_local).unsqueeze(-1))
        for layer in self.layers:
            node_feats, energy = layer(node_feats, species, edges)
            if energy is not None:
                energies.append(energy)
        return self.reference_energies(sum(energies), species[:n_local]) + state_energies

    def embed_nodes(self, species: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """Initial node features `[n_all, 1, n_channels]`."""
        scalars = self.node_embedding(species)
        if self.state_embedding is not None:
            if state is None:
                state = torch.tensor(
                    [DEFAULT_STATE], dtype=torch.float64, device=species.device
                ).expand(len(species), -1)
            scalars = scalars + self.state_embedding(state)
        return scalars.unsqueeze(1)

    def embed_edges(
        self,
        edge_vectors: torch.Tensor,
        edge_index: torch.Tensor,
        species: torch.Tensor,
        n_local: int,
        ghost_plan: torch.Tensor | None,
    ) -> tuple[Edges, torch.Tensor]:
        """Harmonics, radial basis and envelope of the edges, and their lengths `[E]`."""
        r = torch.linalg.vector_norm(edge_vectors, dim=1)
        harmonics = self.harmonics(edge_vectors / r.unsqueeze(-1))
        edge_species = species.index_select(0, edge_index.flatten()).unflatten(0, (2, -1))
        radial, envelope = self.radial_basis(r, edge_species[0], edge_species[1])
        return Edges(edge_index, edge_species, harmonics, radial, envelope, n_local, ghost_plan), r

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; energies are float64 in any case."""
        return self.node_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.node_embedding.weight.device
