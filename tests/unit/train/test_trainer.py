"""The training loop: what does not change a step, early ends, precision, errors."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tiny_runs import configure
from tolerances import ROUNDING, assert_close

from mhff.errors import MHFFError
from mhff.modelfile import load
from mhff.train.processes import Processes
from mhff.train.run import Run
from mhff.train.settings import read_settings
from mhff.train.trainer import Observer, Trainer

CPU = Processes(torch.device("cpu"))
SINGLE_PRECISION_LOSS = 1e-3
"""Relative difference of losses after three epochs, float32 against float64."""


def quiet() -> Console:
    return Console(file=io.StringIO())


def trained(config: Path) -> Run:
    run = Run(read_settings(config))
    run.train(quiet())
    return run


def history(run: Run) -> list[dict[str, Any]]:
    """The records of the epochs, without their times."""
    lines = (run.folder / "epochs.jsonl").read_text().splitlines()
    return [json.loads(line) | {"seconds": None} for line in lines]


def checkpoint(run: Run) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run.folder / "last.ckpt", weights_only=True)["state"]
    return content


class Interruption(Observer):
    """A power cut after a number of steps; files are written before it."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def stepped(self, trainer: Trainer) -> None:
        if trainer.updater.steps == self.steps:
            raise InterruptedError


class InterruptedRun(Run):
    steps = 0

    def _observers(self, console: Console) -> list[Observer]:
        return [*super()._observers(console), Interruption(self.steps)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run from start to end."""
    return trained(configure(tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("steps", [1, 4, 6, 12])
def test_a_run_continues_in_the_middle_of_an_epoch(whole: Run, tmp_path: Path, steps: int) -> None:
    """Four steps make an epoch; after the fourth its validation is left."""
    settings = read_settings(configure(tmp_path, run={"checkpoint_minutes": 0}))
    broken = InterruptedRun(settings)
    broken.steps = steps
    with pytest.raises(InterruptedError):
        broken.train(quiet())
    resumed = Run(settings)
    said = resumed.continuation()[0]
    assert said.endswith(f"has {(steps - 1) // 4} of 3 epochs and {(steps - 1) % 4 + 1} steps")
    resumed.train(quiet())
    assert history(resumed) == history(whole)
    expected = checkpoint(whole)["updater"]
    for name in ("masters", "optimiser", "average", "schedule"):
        assert str(checkpoint(resumed)["updater"][name]) == str(expected[name])
    for own, other in zip(
        checkpoint(resumed)["updater"]["masters"], expected["masters"], strict=True
    ):
        assert torch.equal(own, other)


def test_accumulation_does_not_change_a_run(whole: Run, tmp_path: Path) -> None:
    """The means are over the labels of the whole batch, not over those of its parts."""
    accumulated = trained(configure(tmp_path, run={"accumulate": 3}))
    assert accumulated.fingerprint() == whole.fingerprint()
    for own, other in zip(history(accumulated), history(whole), strict=True):
        assert own["train_loss"] == pytest.approx(other["train_loss"], rel=1e-10)
        assert own["valid_loss"] == pytest.approx(other["valid_loss"], rel=1e-10)


def test_the_record_of_an_epoch(whole: Run) -> None:
    record = history(whole)[-1]
    assert sum(record["train_terms"].values()) == pytest.approx(record["train_loss"])
    assert list(record["train_terms"]) == ["energy", "forces", "stress"]
    assert record["gradient_norm"] > 0
    assert record["learning_rate"] < 1e-3, "a cosine has come to its end"


def test_mixed_precision(whole: Run, tmp_path: Path) -> None:
    mixed = trained(configure(tmp_path, run={"dtype": "mixed"}))
    state = checkpoint(mixed)
    assert {each.dtype for each in state["updater"]["masters"]} == {torch.float64}
    assert load(mixed.model_file).network.dtype == torch.float32
    weight = next(iter(mixed.network.parameters()))
    assert torch.equal(weight, state["updater"]["masters"][0].float())
    for own, other in zip(history(mixed), history(whole), strict=True):
        for key in ("train_loss", "valid_loss"):
            assert own[key] == pytest.approx(other[key], rel=SINGLE_PRECISION_LOSS)


def test_patience(tmp_path: Path) -> None:
    """Without learning the first epoch stays the best."""
    config = configure(
        tmp_path, run={"epochs": 9, "patience": 2}, optimiser={"learning_rate": 1e-30}
    )
    run = trained(config)
    assert len(history(run)) == 3
    again = Run(read_settings(config))
    assert "is finished; --restart starts it anew" in again.continuation()[0]
    again.train(quiet())
    assert len(history(again)) == 3


def test_a_finished_run_becomes_longer(tmp_path: Path) -> None:
    """With a constant learning rate; with a cosine every step depends on the length."""
    constant = {"schedule": {"kind": "constant"}}
    whole = trained(configure(tmp_path, "whole", **constant))
    trained(configure(tmp_path, run={"epochs": 2}, **constant))
    longer = trained(configure(tmp_path, run={"patience": 7}, **constant))
    assert history(longer) == history(whole)
    assert torch.equal(checkpoint(longer)["sums"], checkpoint(whole)["sums"])


def test_a_plateau_lowers_the_learning_rate(tmp_path: Path) -> None:
    schedule = {"kind": "plateau", "patience": 0, "factor": 0.5, "warm_up": 0}
    run = trained(configure(tmp_path, schedule=schedule, optimiser={"learning_rate": 1e-30}))
    rates = [line["learning_rate"] for line in history(run)]
    assert rates == pytest.approx([1e-30, 1e-30, 0.5e-30])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"run": {"patience": 3}},
            r"expected structures to validate with, for run\.patience: 3, got",
        ),
        ({"schedule": {"kind": "plateau"}}, r"for schedule\.kind: plateau, got none; set"),
    ],
)
def test_what_needs_validation(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    run = Run(read_settings(configure(tmp_path, data={"valid": 0.0}, **changes)))
    with pytest.raises(MHFFError, match=sentence):
        run.train(quiet())
    assert not run.folder.exists()


@pytest.mark.parametrize("minutes", [0, 10])
def test_a_loss_that_is_not_finite(tmp_path: Path, minutes: int) -> None:
    """The last checkpoint has finite weights, and there is no model."""
    config = configure(
        tmp_path,
        run={"checkpoint_minutes": minutes},
        optimiser={"learning_rate": 1e200, "gradient_clip": None},
        schedule={"kind": "constant", "warm_up": 0},
    )
    with pytest.raises(
        MHFFError, match=r"the loss or its gradient became nan in epoch 1; lower optimiser\.learn"
    ):
        trained(config)
    assert not list((tmp_path / "out").glob("*.mhff"))
    found = tmp_path / "out/last.ckpt"
    assert found.exists() == (minutes == 0)
    if found.exists():
        state = torch.load(found, weights_only=True)["state"]
        assert all(each.isfinite().all() for each in state["updater"]["masters"])


def test_an_epoch_sees_what_the_settings_say(tmp_path: Path) -> None:
    heads = {"tight": {"files": ["tight.extxyz"], "repeats": 2.0}}
    run = Run(read_settings(configure(tmp_path, heads=heads)))
    numbers = [len(head.parts["train"]) for head in run.heads]
    trainer = run.trainer(CPU)
    assert trainer.sampling.counts == (numbers[0], 2 * numbers[1])
    assert trainer.steps_per_epoch == -(-(numbers[0] + 2 * numbers[1]) // 6)
    hot = Run(read_settings(configure(tmp_path, run={"sampling_temperature": 1e9})))
    assert hot.trainer(CPU).sampling.counts == (max(numbers), max(numbers))


def test_weights_of_a_head_are_those_of_its_gradients(tmp_path: Path) -> None:
    """Only energies of one head, doubled, against the loss of these energies alone."""

    def gradients(**changes: Any) -> list[torch.Tensor]:
        run = Run(read_settings(configure(tmp_path, **changes)))
        trainer = run.trainer(CPU)
        own = [item for item in run.samples["train"] if item.head == 1]
        trainer.gradients(own[:2])
        return [each.grad for each in run.network.parameters() if each.grad is not None]

    tight = {"files": ["tight.extxyz"], "loss": {"forces": 0.0, "stress": 0.0}}
    single = gradients(loss={"forces": 0.0, "stress": 0.0})
    double = gradients(heads={"tight": {**tight, "config_weights": {"cell": 2.0}}})
    for own, other in zip(double, single, strict=True):
        assert_close(own, 2 * other, ROUNDING)
