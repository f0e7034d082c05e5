"""Files that a run writes after every epoch: checkpoint, best model so far, log."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint

from mhff.errors import MHFFError
from mhff.files import write_atomically
from mhff.train.fingerprint import Fingerprint
from mhff.train.module import TrainingModule

CHECKPOINT = "last.ckpt"
"""The file that a run continues from."""
LOG = "epochs.jsonl"
"""One line of losses and errors per epoch."""


class Progress(NamedTuple):
    """The progress of a run at a checkpoint."""

    fingerprint: Fingerprint
    n_epochs: int


def read_progress(checkpoint: Path) -> Progress:
    """The run that a checkpoint belongs to; raises MHFFError if it cannot be read."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        return Progress(content["fingerprint"], len(content["history"]))
    except Exception as error:  # torch's reader may raise any exception
        raise MHFFError(
            f"cannot continue from '{checkpoint}', which is damaged or not a checkpoint of mhff; "
            "start anew with --restart, or choose another run.out"
        ) from error


class Recorder(Checkpoint):
    """Writes the log, the checkpoint, and the model if its validation loss is the lowest so far.

    Each file is written whole. Without validation structures the latest model is the best one.
    Lightning calls a `Checkpoint` after the module's own hooks, so the epoch is already in the
    module's history.
    """

    def __init__(
        self, folder: Path, fingerprint: dict[str, Any], save_model: Callable[[], None]
    ) -> None:
        """`fingerprint` identifies the run; `save_model` writes the network's current weights."""
        self.folder = folder
        self.fingerprint = fingerprint
        self.save_model = save_model
        self.best = math.inf

    def on_train_epoch_end(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Write the files of an epoch."""
        value = module.history[-1]["valid_loss"]
        if value is None or value < self.best:
            self.best = self.best if value is None else value
            module.average.swap()
            self.save_model()
            module.average.swap()
        write_atomically(
            self.folder / LOG, "".join(f"{json.dumps(line)}\n" for line in module.history).encode()
        )
        unfinished = self.folder / f".{CHECKPOINT}"
        trainer.save_checkpoint(unfinished)
        unfinished.replace(self.folder / CHECKPOINT)

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the run's fingerprint and its lowest validation loss."""
        checkpoint["fingerprint"] = self.fingerprint
        checkpoint["best"] = self.best

    def on_load_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        """Continue with the lowest validation loss so far."""
        self.best = checkpoint["best"]
