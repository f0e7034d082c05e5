"""AdamW, its learning-rate schedule, and the moving average of the weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from mhff.model.layers import ElementLinear, PackedLinear
from mhff.model.product import Product
from mhff.train.sections.optimiser import OptimiserSettings


def decayed_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Parameters with weight decay, as in MACE: maps of features and the product's weights."""
    modules = [
        module
        for module in network.modules()
        if isinstance(module, (PackedLinear, ElementLinear, Product))
    ]
    found = {id(p): p for module in modules for p in module.parameters()}
    return list(found.values())


def build_optimiser(network: nn.Module, settings: OptimiserSettings) -> torch.optim.AdamW:
    """AdamW with two groups: with weight decay (`decayed_parameters`) and without."""
    decayed = decayed_parameters(network)
    chosen = {id(parameter) for parameter in decayed}
    others = [parameter for parameter in network.parameters() if id(parameter) not in chosen]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, amsgrad=True, fused=True)


def learning_rate_factor(step: int, steps: int, warm_up: float) -> float:
    """Factor of the learning rate: linear for `warm_up` steps, then half a cosine to zero."""
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    progress = (step - warm_up) / max(steps - warm_up, 1)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


class MovingAverage:
    """Exponential moving average of a network's parameters.

    The decay starts smaller, at (1 + n) / (10 + n) after n updates, so that the random initial
    weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.parameters = list(network.parameters())
        self.averages = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Add the present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        torch._foreach_lerp_(
            self.averages, [parameter.detach() for parameter in self.parameters], 1 - decay
        )

    def to(self, device: torch.device) -> None:
        """Move the averages to the device of the weights."""
        self.averages = [average.to(device) for average in self.averages]

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the network's weights with the averages."""
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        """Content for a checkpoint."""
        return {"updates": self.updates, "averages": [average.clone() for average in self.averages]}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.updates = int(state["updates"])
        for average, value in zip(self.averages, state["averages"], strict=True):
            average.copy_(value)
