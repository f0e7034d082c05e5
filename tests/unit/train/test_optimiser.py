"""The learning rate, the moving average and weight decay."""

from __future__ import annotations

import pytest
import torch
from models import random_network
from torch import nn

from mhff.train.optimiser import MovingAverage, decayed_parameters, learning_rate_factor


def test_learning_rate() -> None:
    factors = [learning_rate_factor(step, steps=20, warm_up=4) for step in range(21)]
    assert factors[:4] == [0.2, 0.4, 0.6, 0.8]
    assert factors[4] == 1.0
    assert factors[12] == pytest.approx(0.5)
    assert factors[20] == pytest.approx(0.0)


def test_moving_average_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(1.0)
        average = MovingAverage(network, decay=0.15)
        network.weight.fill_(3.0)
        average.update()  # decay min(0.15, 1/10)
        assert float(average.averages[0]) == pytest.approx(0.1 * 1 + 0.9 * 3)
        average.update()  # decay min(0.15, 2/11)
        assert float(average.averages[0]) == pytest.approx(0.15 * 2.8 + 0.85 * 3)


def test_swapping_twice_changes_nothing() -> None:
    network = nn.Linear(3, 2)
    first = network.weight.detach().clone()
    average = MovingAverage(network, decay=0.9)
    with torch.no_grad():
        network.weight.add_(1.0)
    second = network.weight.detach().clone()
    average.swap()
    assert torch.equal(network.weight, first)
    average.swap()
    assert torch.equal(network.weight, second)


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
