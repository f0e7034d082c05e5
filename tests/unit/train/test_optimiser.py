"""Steps, the moving average, mixed precision and weight decay."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from models import random_network
from torch import nn

from mhff.train.optimiser import MovingAverage, Updater, decayed_parameters
from mhff.train.schedule import Schedule
from mhff.train.sections.optimiser import OptimiserSettings
from mhff.train.sections.schedule import ScheduleSettings

CONSTANT = ScheduleSettings(kind="constant", warm_up=0)


def updater(network: nn.Module, mixed: bool = False, **settings: Any) -> Updater:
    """Steps at a constant learning rate."""
    return Updater(network, OptimiserSettings(**settings), Schedule(CONSTANT, 1, 1), mixed)


def one_weight(value: float = 1.0, dtype: torch.dtype = torch.float64) -> nn.Linear:
    network = nn.Linear(1, 1, bias=False).to(dtype)
    nn.init.constant_(network.weight, value)
    return network


def test_moving_average_by_hand() -> None:
    weight = torch.tensor([1.0])
    average = MovingAverage([weight], decay=0.15)
    weight.fill_(3.0)
    average.update()  # decay min(0.15, 1/10)
    assert float(average.averages[0]) == pytest.approx(0.1 * 1 + 0.9 * 3)
    average.update()  # decay min(0.15, 2/11)
    assert float(average.averages[0]) == pytest.approx(0.15 * 2.8 + 0.85 * 3)


@pytest.mark.parametrize("decay", [0.99, 0.99999])
def test_an_average_follows_small_changes(decay: float) -> None:
    """By 1e-4, with the share of one step that belongs to the decay."""
    weight = torch.ones(1)
    average = MovingAverage([weight], decay)
    average.updates = 10**9
    weight.fill_(1 + 1e-4)
    for _ in range(100):
        average.update()
    expected = 1e-4 * (1 - decay**100)
    assert float(average.averages[0]) - 1 == pytest.approx(expected, rel=0.05)


def test_the_network_has_the_averages_for_a_while() -> None:
    network = one_weight()
    steps = updater(network, ema_decay=0.9)
    network.weight.grad = torch.ones(1, 1, dtype=torch.float64)
    steps.update()
    changed = network.weight.detach().clone()
    with steps.averaged():
        assert torch.equal(network.weight, steps.average.averages[0])
        assert not torch.equal(network.weight, changed)
    assert torch.equal(network.weight, changed)


@pytest.mark.parametrize("kind", ["adamw", "adam"])
def test_a_step_by_hand(kind: str) -> None:
    """The first step of Adam is the learning rate in the direction of the gradient."""
    network = one_weight(2.0)
    network.weight.grad = torch.full((1, 1), -3.0, dtype=torch.float64)
    norm = updater(network, kind=kind, learning_rate=0.1).update()
    assert float(norm) == pytest.approx(3.0)
    assert float(network.weight.detach()) == pytest.approx(2.1, rel=1e-6)
    assert network.weight.grad is None


def test_clipping() -> None:
    """The second moment shows the clipped gradient; without clipping the whole one."""
    for clip, expected in ((0.5, 0.25), (None, 9.0)):
        network = one_weight()
        network.weight.grad = torch.full((1, 1), 3.0, dtype=torch.float64)
        steps = updater(network, gradient_clip=clip)
        assert float(steps.update()) == pytest.approx(3.0)
        moment = steps.optimiser.state[steps.masters[0]]["exp_avg_sq"]
        assert float(moment) == pytest.approx(1e-3 * expected, rel=1e-5)


def test_mixed_precision_keeps_steps_that_float32_would_lose() -> None:
    """A thousand steps of 1e-9 on a weight of 1 are 1e-6; in float32 each rounds to nothing."""
    moved = {}
    for mixed in (False, True):
        network = one_weight(1.0, torch.float32)
        steps = updater(network, mixed, learning_rate=1e-9)
        for _ in range(1000):
            network.weight.grad = torch.ones(1, 1)
            steps.update()
        moved[mixed] = 1 - float(network.weight.detach())
        assert steps.average.averages[0].dtype == (torch.float64 if mixed else torch.float32)
    assert moved[False] == 0.0
    assert moved[True] == pytest.approx(1e-6, rel=0.1)


def test_the_state_continues_bit_by_bit() -> None:
    def step(steps: Updater, gradient: float) -> None:
        steps.parameters[0].grad = torch.full_like(steps.parameters[0], gradient)
        steps.update()

    whole = updater(one_weight(1.0, torch.float32), mixed=True)
    for gradient in (0.3, -0.7, 0.2):
        step(whole, gradient)
    broken = updater(one_weight(1.0, torch.float32), mixed=True)
    step(broken, 0.3)
    state = copy.deepcopy(broken.state())
    resumed = updater(one_weight(5.0, torch.float32), mixed=True)
    resumed.load_state(state)
    for gradient in (-0.7, 0.2):
        step(resumed, gradient)
    for own, expected in (
        (resumed.masters, whole.masters),
        (resumed.parameters, whole.parameters),
        (resumed.average.averages, whole.average.averages),
    ):
        assert torch.equal(own[0], expected[0])


def test_weight_decay_spares_radial_networks_embeddings_and_readouts() -> None:
    network = random_network()
    chosen = {id(parameter) for parameter in decayed_parameters(network)}
    decayed = {name for name, parameter in network.named_parameters() if id(parameter) in chosen}
    spared = {name for name, _ in network.named_parameters()} - decayed
    assert any("linear_up" in name for name in decayed)
    assert any(name.endswith("product.weights") for name in decayed)
    assert not any(
        word in name
        for name in decayed
        for word in ("radial", "density", "embedding", "readout", "alpha", "beta")
    )
    assert any("radial_network" in name for name in spared)
