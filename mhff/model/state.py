"""Total charge and spin multiplicity of a structure as a part of the node features (mace-omol)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mhff.model.config import ModelConfig, StateEmbedding
from mhff.model.layers import normal, uniform

QUANTITIES = ("total_charge", "total_spin")
"""Columns of a state: charge in e, spin multiplicity 2S + 1."""


class CategoricalEmbedding(nn.Module):
    """A row of a table for each integer value."""

    def __init__(self, settings: StateEmbedding, generator: torch.Generator) -> None:
        super().__init__()
        self.offset = settings.offset
        self.weight = nn.Parameter(normal((settings.n_classes, settings.width), generator))

    def forward(self, values: torch.Tensor, project: torch.Tensor) -> torch.Tensor:
        return (self.weight @ project.T).index_select(0, values.to(torch.int64) + self.offset)


class ContinuousEmbedding(nn.Module):
    """A network with one hidden layer, applied to the value: linear, silu, linear."""

    def __init__(self, settings: StateEmbedding, generator: torch.Generator) -> None:
        super().__init__()
        width = settings.width
        self.weight_1 = nn.Parameter(uniform((width, 1), 1.0, generator))
        self.weight_2 = nn.Parameter(uniform((width, width), width**-0.5, generator))
        self.bias_1 = nn.Parameter(uniform((width,), 1.0, generator)) if settings.bias else None
        self.bias_2 = (
            nn.Parameter(uniform((width,), width**-0.5, generator)) if settings.bias else None
        )

    def forward(self, values: torch.Tensor, project: torch.Tensor) -> torch.Tensor:
        hidden = functional.silu(
            functional.linear(values.unsqueeze(1).to(project.dtype), self.weight_1, self.bias_1)
        )
        return functional.linear(hidden, self.weight_2, self.bias_2) @ project.T


class JointEmbedding(nn.Module):
    """All embedded quantities side by side, mixed to channels: silu(W [e_1, e_2, ...])."""

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        kinds = {"categorical": CategoricalEmbedding, "continuous": ContinuousEmbedding}
        self.columns = [QUANTITIES.index(settings.quantity) for settings in config.state_embeddings]
        self.widths = [settings.width for settings in config.state_embeddings]
        self.embeddings = nn.ModuleList(
            kinds[settings.kind](settings, generator) for settings in config.state_embeddings
        )
        self.project = nn.Parameter(
            uniform((config.n_channels, sum(self.widths)), sum(self.widths) ** -0.5, generator)
        )

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Channels `[n, C]` of states `[n, 2]` (`QUANTITIES`).

        Each quantity is mixed on its own, so that what a table gives for a value is computed once.
        """
        parts = self.project.split(self.widths, dim=1)
        mixed = [
            embedding(state[:, column], part)
            for embedding, column, part in zip(self.embeddings, self.columns, parts, strict=True)
        ]
        return functional.silu(torch.stack(mixed).sum(0))
