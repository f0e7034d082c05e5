"""What a run leaves behind after every epoch: the checkpoint to resume from, the best model so far,
the log.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def stored_fingerprint(checkpoint: Path) -> Fingerprint:
    """The run that a checkpoint belongs to; raises MHFFError where it cannot be read."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        stored: Fingerprint = content["fingerprint"]
    except Exception as error:  # torch's reader raises whatever it meets
        raise MHFFError(
            f"cannot continue from '{checkpoint}', which is damaged or not a checkpoint of mhff; "
            "start anew with --restart, or choose another run.out"
        ) from error
    return stored


class Recorder(Checkpoint):
    """Writes, each whole: the model whenever its validation loss is the lowest so far, the log, the
    checkpoint.

    Without validation structures the latest model counts as the best. Lightning calls a
    `Checkpoint` after the module's own hooks, so the epoch is in the module's history by then.
    """

    def __init__(
        self, folder: Path, fingerprint: dict[str, Any], save_model: Callable[[], None]
    ) -> None:
        """`fingerprint` says what run this is; `save_model` writes the network with the weights it
        has when called.
        """
        self.folder, self.fingerprint, self.save_model = folder, fingerprint, save_model
        self.best = math.inf

    def on_train_epoch_end(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Write what there is to write."""
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
        """Add what run this is and how good it was."""
        checkpoint["fingerprint"], checkpoint["best"] = self.fingerprint, self.best

    def on_load_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        """Continue with the best so far."""
        self.best = checkpoint["best"]
