"""Loggers get every epoch, once, also after an interruption; without their package none starts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tiny_run import configure, history, quiet

from mhff.errors import MHFFError
from mhff.train import loggers
from mhff.train.loggers import RUNNING_LOSS, scalars
from mhff.train.run import Run
from mhff.train.sections.loggers import LoggerName

FEW = {"epochs": 2, "kernels": False}


class Sink:
    """Records what a program that draws curves is told."""

    def __init__(self) -> None:
        self.points: dict[int, dict[str, float]] = {}
        self.closed = 0
        self.opened: list[dict[str, Any]] = []

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.points.setdefault(step, {}).update(values)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.log({name: value}, step)

    def finish(self) -> None:
        self.closed += 1

    close = finish

    def open(self, *_: Any, **options: Any) -> Sink:
        self.opened.append(options)
        return self


@pytest.fixture(params=["tensorboard", "wandb"])
def sink(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    """Stands for the packages; the loggers are those of the run."""
    found = Sink()
    found.name = request.param
    wandb = ModuleType("wandb")
    wandb.init = found.open
    wandb.errors = SimpleNamespace(Error=ConnectionError)
    writers = ModuleType("torch.utils.tensorboard")
    writers.SummaryWriter = found.open
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", writers)
    return found


def test_every_epoch_is_sent(sink: Any, tmp_path: Path) -> None:
    run = Run(configure(tmp_path, run=FEW | {"loggers": [sink.name]}))
    run.train(quiet())
    records = history(run)
    n_steps = -(-len(run.samples["train"]) // 4)
    assert list(sink.points) == [n_steps, 2 * n_steps]
    for record, sent in zip(records, sink.points.values(), strict=True):
        assert sent == dict(scalars(record))
        assert sent["loss/training"] == record["train_loss"]
        assert sent["learning rate"] == record["learning_rate"]
        error = record["valid"]["tight"]["force_mae_meV_per_A"]
        assert sent["tight/force MAE, meV/A"] == error
    assert sink.closed == 1
    Run(run.settings).train(quiet())
    assert len(sink.opened) == 2, "a session of its own"
    assert list(sink.points) == [n_steps, 2 * n_steps], "all epochs again, at their steps"


def test_points_inside_a_long_epoch(
    sink: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loggers, "SECONDS_BETWEEN_POINTS", 0.0)
    Run(configure(tmp_path, run=FEW | {"epochs": 1, "loggers": [sink.name]})).train(quiet())
    running = [point[RUNNING_LOSS] for point in sink.points.values()]
    last = list(sink.points.values())[-1]
    assert len(running) == len(sink.points)
    assert running[-1] == pytest.approx(last["loss/training"])


def test_a_logger_is_closed_when_the_run_fails(sink: Any, tmp_path: Path) -> None:
    settings = configure(
        tmp_path, optimiser={"learning_rate": 1e30}, run=FEW | {"loggers": [sink.name]}
    )
    with pytest.raises(MHFFError, match="the loss"):
        Run(settings).train(quiet())
    assert sink.closed == 1


@pytest.mark.parametrize("name", list(LoggerName))
def test_a_logger_that_is_not_installed(
    name: LoggerName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MHFFError, match=rf"pip install 'mhff\[{name}\]', or remove {name}"):
        Run(configure(tmp_path, run={"loggers": [str(name)]}))
    assert not (tmp_path / "run").exists()


def test_a_refusal_of_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise ConnectionError("no API key\nconfigured")

    wandb = ModuleType("wandb")
    wandb.init = refuse
    wandb.errors = SimpleNamespace(Error=ConnectionError)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with pytest.raises(MHFFError, match=r"\(no API key configured\); log in with `wandb login`"):
        Run(configure(tmp_path, run=FEW | {"loggers": ["wandb"]})).train(quiet())


def test_loggers_do_not_make_another_run(sink: Any, tmp_path: Path) -> None:
    plain = Run(configure(tmp_path)).fingerprint()
    logged = Run(configure(tmp_path, run={"loggers": [sink.name], "wandb": {"project": "p"}}))
    assert logged.fingerprint() == plain


@pytest.mark.slow
def test_event_files_of_tensorboard(tmp_path: Path) -> None:
    """The real package, where it is installed."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = Run(configure(tmp_path, run=FEW | {"loggers": ["tensorboard"]}))
    run.train(quiet())
    Run(run.settings).train(quiet())
    events = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    found = [event.value for event in events.Scalars("loss/training")]
    assert found == pytest.approx([record["train_loss"] for record in history(run)])


@pytest.mark.slow
def test_a_run_of_wandb_without_network(tmp_path: Path) -> None:
    """The real package, where it is installed."""
    pytest.importorskip("wandb")
    options = {"loggers": ["wandb"], "wandb": {"mode": "offline"}}
    run = Run(configure(tmp_path, run=FEW | options))
    run.train(quiet())
    (file,) = (run.folder / "wandb").glob("offline-run-*/*.wandb")
    assert file.stat().st_size > 0
