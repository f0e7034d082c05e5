"""Files that a run writes while it trains: checkpoint, best model so far, log.

Each file is written whole. The checkpoint comes last: a run that ends between two files repeats the
epoch, and writes the same model again.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import torch

from mhff.errors import MHFFError
from mhff.files import write_atomically
from mhff.train.fingerprint import Fingerprint
from mhff.train.sections.run import RunSettings
from mhff.train.trainer import Observer, Trainer, is_finished

CHECKPOINT = "last.ckpt"
"""The file that a run continues from."""
LOG = "epochs.jsonl"
"""One line of losses and errors per epoch."""


class Checkpoint(NamedTuple):
    """A run's identity and its state."""

    fingerprint: Fingerprint
    state: dict[str, Any]

    @property
    def n_epochs(self) -> int:
        """Complete epochs."""
        return int(self.state["epoch"])

    def is_finished(self, run: RunSettings) -> bool:
        """Whether a run with these settings ends here."""
        return is_finished(self.n_epochs, int(self.state["stagnant"]), run)

    @property
    def n_steps(self) -> int:
        """Steps of the present epoch."""
        return int(self.state["step"])

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        content = io.BytesIO()
        torch.save(self._asdict(), content)
        write_atomically(path, content.getvalue())


def read_checkpoint(path: Path) -> Checkpoint:
    """The content of a checkpoint; raises MHFFError if it cannot be read."""
    try:
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch's reader may raise any exception
        raise MHFFError(
            f"cannot continue from '{path}', which is damaged or not a checkpoint of mhff; "
            "start anew with --restart, or choose another run.out"
        ) from error


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of all epochs; none without a log."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]


class Recorder(Observer):
    """Writes the log, the checkpoint, and the model if its validation loss is the lowest so far.

    Without validation structures the latest model is the best one.
    """

    def __init__(
        self, folder: Path, fingerprint: Fingerprint, save_model: Callable[[], None]
    ) -> None:
        """`fingerprint` identifies the run; `save_model` writes the network's current weights."""
        self.folder = folder
        self.fingerprint = fingerprint
        self.save_model = save_model
        self.written = monotonic()
        """When the last checkpoint was written, s."""
        self.epoch_began = monotonic()
        """When the present epoch began, or went on after an interruption, s."""
        self.seconds: list[float | None] = []
        """Time of each epoch; it stays out of the checkpoint, which two equal runs share."""

    def started(self, trainer: Trainer) -> None:
        """Count the minutes from now on; take over the times of the epochs that are done."""
        logged = {line["epoch"]: line["seconds"] for line in read_log(self.folder / LOG)}
        self.seconds = [logged.get(epoch + 1) for epoch in range(trainer.epoch)]
        self.written = monotonic()
        self.epoch_began = monotonic()

    def stepped(self, trainer: Trainer) -> None:
        """Write a checkpoint if the last one is old."""
        if monotonic() - self.written >= 60 * trainer.settings.run.checkpoint_minutes:
            trainer.check_finite()
            self._save_checkpoint(trainer)

    def epoch_ended(self, trainer: Trainer) -> None:
        """Write the files of an epoch."""
        if trainer.is_best:
            with trainer.updater.averaged():
                self.save_model()
        self.seconds.append(monotonic() - self.epoch_began)
        self.epoch_began = monotonic()
        log = "".join(
            f"{json.dumps(line | {'seconds': seconds})}\n"
            for line, seconds in zip(trainer.history, self.seconds, strict=True)
        )
        write_atomically(self.folder / LOG, log.encode())
        self._save_checkpoint(trainer)

    def _save_checkpoint(self, trainer: Trainer) -> None:
        checkpoint = Checkpoint(self.fingerprint, trainer.state())
        checkpoint.save(self.folder / CHECKPOINT)
        self.written = monotonic()
