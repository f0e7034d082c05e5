"""The loss against values computed by hand, the learning rate, the moving average, weight decay."""

from __future__ import annotations

import pytest
import torch
from models import random_network
from torch import nn

from mhff.data.batch import Batch
from mhff.evaluate.prediction import Prediction
from mhff.graph import make_graph
from mhff.train.loss import loss
from mhff.train.optimiser import MovingAverage, decayed_parameters, learning_rate_factor
from mhff.train.settings import LossSettings

ONLY_ENERGY = LossSettings(energy=2.0, forces=0.0, stress=0.0, delta=0.1)
ONLY_FORCES = LossSettings(energy=0.0, forces=3.0, stress=0.0, delta=0.1)
ONLY_STRESS = LossSettings(energy=0.0, forces=0.0, stress=5.0, delta=0.1)


def two_structures() -> Batch:
    """Two atoms with forces and stress and weight 1; one atom without and weight 4. All labels are
    zero.
    """
    graph = make_graph(
        edge_vectors=torch.zeros(0, 3),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        species=torch.zeros(3, dtype=torch.int64),
        structure=torch.tensor([0, 0, 1]),
        cells=torch.zeros(2, 3, 3),
    )
    zeros = torch.zeros
    return Batch(
        graph=graph,
        head=torch.tensor([0, 1]),
        weight=torch.tensor([1.0, 4.0], dtype=torch.float64),
        energy=zeros(2, dtype=torch.float64),
        forces=zeros(3, 3, dtype=torch.float64),
        has_forces=torch.tensor([True, False]),
        stress=zeros(2, 3, 3, dtype=torch.float64),
        has_stress=torch.tensor([True, False]),
        config_types=("unknown", "unknown"),
    )


def prediction(
    energy: tuple[float, float] = (0, 0), force: float = 0, stress: float = 0
) -> Prediction:
    forces = torch.zeros(3, 3, dtype=torch.float64)
    forces[1, 2] = force
    forces[2] = 7.0  # of the structure whose forces are not labelled: must not matter
    stresses = torch.zeros(1, 3, 3, dtype=torch.float64)
    stresses[0, 1, 1] = stress
    return Prediction(torch.tensor(energy, dtype=torch.float64), forces, stresses)


@pytest.mark.parametrize(
    ("predicted", "settings", "expected"),
    [
        # quadratic: 2 * (0.5 * (0.1 / 2)^2 * 1 + 0) / 2
        (prediction(energy=(0.1, 0.0)), ONLY_ENERGY, 0.5 * 0.05**2),
        # linear, with weight 4: 2 * (0 + 4 * 0.1 * (1 - 0.05)) / 2
        (prediction(energy=(0.0, 1.0)), ONLY_ENERGY, 4 * 0.1 * 0.95),
        # one of six labelled components: 3 * 0.1 * (2 - 0.05) / 6
        (prediction(force=2.0), ONLY_FORCES, 3 * 0.1 * 1.95 / 6),
        # one of nine components: 5 * 0.5 * 0.03^2 / 9
        (prediction(stress=0.03), ONLY_STRESS, 5 * 0.5 * 0.03**2 / 9),
    ],
)
def test_loss_by_hand(predicted: Prediction, settings: LossSettings, expected: float) -> None:
    assert float(loss(predicted, two_structures(), settings)) == pytest.approx(expected, rel=1e-12)


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
