"""How a network's weights change in a step: Adam, its learning rate, the average of the weights.

In mixed precision the network computes in float32, but what is added up over thousands of steps is
kept in float64: the weights that the optimiser changes, its moments, and the moving average. Late
in a run a step changes a weight by less than the rounding of float32, 6e-8 of its size, and the
average takes in 1 - `ema_decay` of a change that is small already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mhff.model.layers import ElementLinear, PackedLinear
from mhff.model.product import Product
from mhff.train.schedule import Schedule
from mhff.train.sections.optimiser import OptimiserSettings

MAX_DECAY_IN_FLOAT32 = 0.999
"""Above it an average in float32 does not follow changes of 1e-4: a step's share is rounded off."""
KINDS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
}


def decayed_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Parameters with weight decay, as in MACE: maps of features and the product's weights."""
    modules = [
        module
        for module in network.modules()
        if isinstance(module, (PackedLinear, ElementLinear, Product))
    ]
    found = {id(p): p for module in modules for p in module.parameters()}
    return list(found.values())


class MovingAverage:
    """Exponential moving average of weights.

    The decay starts smaller, at (1 + n) / (10 + n) after n updates, so that the random initial
    weights are soon forgotten. Above `MAX_DECAY_IN_FLOAT32` the averages are in float64.
    """

    def __init__(self, weights: Sequence[torch.Tensor], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = [each.detach() for each in weights]
        self.in_float64 = decay > MAX_DECAY_IN_FLOAT32
        copies = [each.clone() for each in self.weights]
        self.averages = [each.double() for each in copies] if self.in_float64 else copies

    def update(self) -> None:
        """Add the present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        weights = [each.double() for each in self.weights] if self.in_float64 else self.weights
        torch._foreach_lerp_(self.averages, weights, 1 - decay)

    def state(self) -> dict[str, Any]:
        """Content for a checkpoint."""
        return {"updates": self.updates, "averages": self.averages}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.updates = int(state["updates"])
        _copy(state["averages"], self.averages)


class Updater:
    """Changes the trained weights of a network from their gradients, step by step."""

    def __init__(
        self, network: nn.Module, settings: OptimiserSettings, schedule: Schedule, mixed: bool
    ) -> None:
        self.settings = settings
        self.schedule = schedule
        self.mixed = mixed
        self.steps = 0
        self.parameters = [each for each in network.parameters() if each.requires_grad]
        self.masters = [nn.Parameter(p.detach().double()) if mixed else p for p in self.parameters]
        """What the optimiser changes; the parameters themselves, unless the precision is mixed."""
        self.average = MovingAverage(self.masters, settings.ema_decay)
        self.optimiser = self._optimiser({id(each) for each in decayed_parameters(network)})

    def _optimiser(self, decayed: set[int]) -> torch.optim.Optimizer:
        """Adam with two groups of weights: with weight decay and without."""
        pairs = list(zip(self.parameters, self.masters, strict=True))
        groups = [
            {
                "params": [master for own, master in pairs if (id(own) in decayed) == decays],
                "weight_decay": self.settings.weight_decay if decays else 0.0,
            }
            for decays in (True, False)
        ]
        make = KINDS[self.settings.kind]
        return make(groups, lr=self.settings.learning_rate, amsgrad=True, fused=True)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return self.settings.learning_rate * self.schedule.factor(self.steps)

    def update(self) -> torch.Tensor:
        """Take a step with the parameters' gradients, which are used up; returns their norm."""
        clip = self.settings.gradient_clip
        norm = nn.utils.clip_grad_norm_(self.parameters, float("inf") if clip is None else clip)
        if self.mixed:
            for own, master in zip(self.parameters, self.masters, strict=True):
                master.grad = None if own.grad is None else own.grad.double()
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.mixed:
            _copy(self.masters, self.parameters)
            for own in self.parameters:
                own.grad = None
        self.average.update()
        self.steps += 1
        return norm.double()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the network the averaged weights for a while."""
        kept = [each.detach().clone() for each in self.parameters]
        _copy(self.average.averages, self.parameters)
        try:
            yield
        finally:
            _copy(kept, self.parameters)

    def state(self) -> dict[str, Any]:
        """Content for a checkpoint."""
        return {
            "steps": self.steps,
            "masters": [each.detach() for each in self.masters],
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state(),
            "schedule": self.schedule.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.steps = state["steps"]
        _copy(state["masters"], self.masters)
        _copy(state["masters"], self.parameters)
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.load_state(state["average"])
        self.schedule.load_state(state["schedule"])


@torch.no_grad()
def _copy(sources: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> None:
    """Copy numbers, which are rounded if the targets have fewer digits."""
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source)
