"""The course of the learning rate."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mhff.train.schedule import Schedule
from mhff.train.sections.schedule import ScheduleSettings


def schedule(epochs: int = 5, **settings: Any) -> Schedule:
    return Schedule(ScheduleSettings(**settings), steps_per_epoch=4, epochs=epochs)


def test_cosine() -> None:
    factors = [schedule(kind="cosine", warm_up=1).factor(step) for step in range(21)]
    assert factors[:4] == [0.2, 0.4, 0.6, 0.8]
    assert factors[4] == 1.0
    assert factors[12] == pytest.approx(0.5)
    assert factors[20] == pytest.approx(0.0)


def test_constant() -> None:
    course = schedule(kind="constant", warm_up=0.5)
    assert [course.factor(step) for step in (0, 1, 2, 100)] == [1 / 3, 2 / 3, 1, 1]


def test_plateau_as_torch_has_it() -> None:
    losses = [5.0, 4.0, 4.0, 4.5, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    course = schedule(kind="plateau", warm_up=0, factor=0.5, patience=2)
    weights = [torch.zeros(1, requires_grad=True)]
    optimiser = torch.optim.SGD(weights, lr=1.0)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=0.5, patience=2, threshold=0.0
    )
    factors = []
    for loss in losses:
        course.epoch_ended(loss)
        oracle.step(loss)
        factors.append(course.factor(1000))
        assert factors[-1] == optimiser.param_groups[0]["lr"]
    assert factors[0] == 1.0
    assert factors[-1] == 0.125


def test_the_state_of_a_plateau_continues() -> None:
    settings = {"kind": "plateau", "warm_up": 0, "factor": 0.5, "patience": 2}
    whole = schedule(**settings)
    for loss in (3.0, 3.0, 3.0):
        whole.epoch_ended(loss)
    resumed = schedule(**settings)
    resumed.load_state(whole.state())
    assert resumed.factor(0) == 1.0
    resumed.epoch_ended(3.0)
    assert resumed.factor(0) == 0.5
