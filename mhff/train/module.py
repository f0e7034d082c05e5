"""The Lightning module: training steps, validation, and the content of checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule

from mhff.data.batch import Batch
from mhff.data.loading import load_batches
from mhff.errors import MHFFError
from mhff.evaluate.errors import Comparison, Errors, compare, grouped
from mhff.evaluate.prediction import Prediction, predict
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.mace import MACE
from mhff.train.loss import loss
from mhff.train.optimiser import MovingAverage, build_optimiser, learning_rate_factor
from mhff.train.settings import Settings


class Batches:
    """Samples in batches, in a given order."""

    def __init__(self, samples: Sequence[Batch], batch_size: int, order: Sequence[int]) -> None:
        self.samples = samples
        self.batch_size = batch_size
        self.order = order

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        starts = range(0, len(self.order), self.batch_size)
        members = [self.order[start : start + self.batch_size] for start in starts]
        return load_batches(self.samples, members)


def shuffled(n: int, seed: int, epoch: int) -> list[int]:
    """An order of n samples that only the seed and the epoch decide."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order: list[int] = torch.randperm(n, generator=generator).tolist()
    return order


class TrainingModule(LightningModule):
    """A multi-head network in training; validated with the moving average of its weights."""

    def __init__(
        self, network: MACE, settings: Settings, train: Sequence[Batch], valid: Sequence[Batch]
    ) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.train_samples = train
        self.valid_samples = valid
        self.average = MovingAverage(network, settings.optimiser.ema_decay)
        self.history: list[dict[str, Any]] = []
        """One record per epoch: losses and, per head, validation errors."""
        self._train_losses: list[torch.Tensor] = []
        self._valid_losses: list[torch.Tensor] = []
        self._comparisons: list[Comparison] = []

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads."""
        return self.network.config.heads

    def train_dataloader(self) -> Batches:
        """The training samples in the order of the current epoch; called for every epoch."""
        run = self.settings.run
        order = shuffled(len(self.train_samples), run.seed, self.current_epoch)
        return Batches(self.train_samples, run.batch_size, order)

    def val_dataloader(self) -> Batches:
        """The validation samples in their order."""
        return Batches(
            self.valid_samples, self.settings.run.batch_size, range(len(self.valid_samples))
        )

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Lightning cannot move a `Batch` by itself."""
        return batch.to(device, self.network.dtype)

    def configure_optimizers(self) -> Any:
        """AdamW, with a new learning rate at every step."""
        optimiser = build_optimiser(self.network, self.settings.optimiser)
        run = self.settings.run
        per_epoch = -(-len(self.train_samples) // run.batch_size)
        factor = partial(
            learning_rate_factor,
            steps=per_epoch * run.epochs,
            warm_up=per_epoch * self.settings.optimiser.warm_up,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Move the averages to the device of the weights."""
        self.average.to(self.device)

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """Loss of a batch."""
        value = loss(self._predict(batch, training=True), batch, self.settings.loss)
        self._train_losses.append(value.detach())
        return value

    def on_train_batch_end(self, *_: Any) -> None:
        """Add the new weights to the average."""
        self.average.update()

    def on_validation_epoch_start(self) -> None:
        """Validate with the averaged weights."""
        self._valid_losses = []
        self._comparisons = []
        self.average.swap()

    def validation_step(self, batch: Batch, _: int) -> None:
        """Predictions of a batch, compared with the labels."""
        prediction = self._predict(batch, training=False)
        self._valid_losses.append(loss(prediction, batch, self.settings.loss))
        self._comparisons += compare(prediction, batch, self.heads)

    def _predict(self, batch: Batch, training: bool) -> Prediction:
        evaluate = partial(energies_and_edge_gradients, self.network, training=training)
        return predict(evaluate, batch, len(self.heads))

    def on_validation_epoch_end(self) -> None:
        """Return to the weights in training."""
        self.average.swap()

    def validation_errors(self) -> dict[str, Errors]:
        """Errors of the last validation, by head."""
        return grouped(self._comparisons, lambda item: item.head)

    def on_train_epoch_end(self) -> None:
        """Record the epoch; raises MHFFError if the loss is no longer finite."""
        train_loss = _mean(self._train_losses)
        if train_loss is None or not math.isfinite(train_loss):
            raise MHFFError(
                f"the loss became {train_loss} in epoch {self.current_epoch + 1}; lower "
                "optimiser.learning_rate, or look for wrong labels among the structures"
            )
        self.history.append(
            {
                "epoch": self.current_epoch + 1,
                "train_loss": train_loss,
                "valid_loss": _mean(self._valid_losses),
                "valid": {
                    head: errors.as_dict() for head, errors in self.validation_errors().items()
                },
            }
        )
        self._train_losses = []

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the averages and the history."""
        checkpoint["average"] = self.average.state_dict()
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue with the averages and the history."""
        self.average.load_state_dict(checkpoint["average"])
        self.history = list(checkpoint["history"])


def _mean(losses: Sequence[torch.Tensor]) -> float | None:
    return float(torch.stack(list(losses)).double().mean()) if losses else None
