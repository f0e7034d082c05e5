"""The loss against values computed by hand."""

from __future__ import annotations

import pytest
import torch

from mhff.data.batch import Batch
from mhff.evaluate.prediction import Prediction
from mhff.graph import make_graph
from mhff.train.loss import loss
from mhff.train.sections.optimisation import LossSettings

ONLY_ENERGY = LossSettings(energy=2.0, forces=0.0, stress=0.0, delta=0.1)
ONLY_FORCES = LossSettings(energy=0.0, forces=3.0, stress=0.0, delta=0.1)
ONLY_STRESS = LossSettings(energy=0.0, forces=0.0, stress=5.0, delta=0.1)


def two_structures() -> Batch:
    """Two atoms with forces, stress and weight 1; one atom with neither and weight 4.

    All labels are zero.
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
