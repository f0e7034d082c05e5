"""The common base of the training network and of its lowered form."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from mhff.model.config import ModelConfig
from mhff.model.layers import ElementEmbedding
from mhff.model.state import JointEmbedding


class Network(nn.Module):
    """A network of atomic energies, with its embedding of the atoms."""

    config: ModelConfig
    node_embedding: ElementEmbedding
    state_embedding: JointEmbedding | None
    edges_at_once: ClassVar[int] = 2000
    """Edges of copies of a structure that second derivatives take side by side (`curvature`)."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; energies are float64 in any case."""
        return self.node_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.node_embedding.weight.device

    def embed_nodes(self, species: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Initial node features `[n_all, 1, n_channels]`; `state [n_all, 2]`: see `Graph`."""
        scalars = self.node_embedding(species)
        if self.state_embedding is not None:
            scalars = scalars + self.state_embedding(state)
        return scalars.unsqueeze(1)
