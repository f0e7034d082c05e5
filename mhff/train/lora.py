"""LoRA: low-rank changes of linear maps, trained in place of the weights that they change.

E. J. Hu et al., arXiv:2106.09685. A weight W becomes W + (alpha / rank) A B, where A and B are
trained and W is frozen; B is zero at first. Maps of features and radial networks are changed; the
readouts are small, and those of new heads have much to learn, so all their weights are trained.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization

from mhff.errors import MHFFError
from mhff.model.layers import ElementLinear, PackedLinear, PairNetwork, RadialNetwork, normal
from mhff.model.mace import MACE
from mhff.train.frozen import parts_of
from mhff.train.sections.fine_tuning import LoraSettings

CHANGED = (PackedLinear, ElementLinear, RadialNetwork, PairNetwork)
"""Modules whose matrices get a low-rank change."""
PARAMETRIZATIONS = ".parametrizations."
"""Part of the names of weights that torch computes from others."""


class LowRankChange(nn.Module):
    """Adds scale A B to a matrix `[..., m, n]`: A is `[..., m, rank]`, B `[..., rank, n]`."""

    def __init__(
        self, weight: torch.Tensor, settings: LoraSettings, generator: torch.Generator
    ) -> None:
        super().__init__()
        *sets, m, n = weight.shape
        self.scale = settings.scale
        first = normal((*sets, m, settings.rank), generator)
        self.a = nn.Parameter(first.to(weight))
        self.b = nn.Parameter(weight.new_zeros(*sets, settings.rank, n))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.scale * (self.a @ self.b)


def add_low_rank_changes(network: MACE, settings: LoraSettings, seed: int) -> None:
    """Freeze a network but for its readouts, and add a low-rank change to each linear map.

    Maps that are frozen already get none. Raises MHFFError if all of them are.
    """
    generator = torch.Generator().manual_seed(seed)
    lists = [
        module.weights
        for layer in network.layers
        for module in (*layer.interaction.modules(), *layer.product.modules())
        if isinstance(module, CHANGED)
    ]
    maps = [
        (weights, str(index))
        for weights in lists
        for index, weight in enumerate(weights)
        if weight.requires_grad
    ]
    if not maps:
        raise MHFFError("lora: all linear maps are frozen; leave an interaction or product trained")
    _freeze_trunk(network)
    for weights, name in maps:
        weight = getattr(weights, name).detach()
        register_parametrization(weights, name, LowRankChange(weight, settings, generator))


def _freeze_trunk(network: MACE) -> None:
    """Freeze everything but the readouts."""
    for part in parts_of(network):
        if part.name.partition(".")[0] != "readouts":
            part.module.requires_grad_(False)


def merged_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Weights by name as they act, with the changes added: those of a network without LoRA."""
    weights = {
        name: value for name, value in network.state_dict().items() if PARAMETRIZATIONS not in name
    }
    for path, module in network.named_modules():
        if is_parametrized(module):
            names = module.parametrizations.keys()
            weights |= {f"{path}.{name}": getattr(module, name).detach() for name in names}
    return weights
