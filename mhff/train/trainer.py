"""The training loop: steps, epochs, validation, and everything a checkpoint must hold.

A run may be interrupted at any step. It continues from the state of a checkpoint as if nothing had
happened, bit by bit on a CPU, and with another number of processes up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch

from mhff.data.batch import Batch
from mhff.data.loading import load_batches
from mhff.data.weights import Weights
from mhff.errors import MHFFError
from mhff.evaluate.errors import Comparison, Errors, compare, group_by_head, grouped
from mhff.evaluate.prediction import Prediction, predict
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.mace import MACE
from mhff.train.loss import label_counts, mean, weighted_sums
from mhff.train.optimiser import Updater
from mhff.train.processes import Processes
from mhff.train.sampling import Sampling, batches, shares
from mhff.train.schedule import Schedule
from mhff.train.sections.run import RunSettings
from mhff.train.settings import Settings


class Observer:
    """What follows a run: progress, files, loggers. It lives in the main process alone."""

    def started(self, trainer: Trainer) -> None:
        """Before the first step."""

    def stepped(self, trainer: Trainer) -> None:
        """After every step."""

    def epoch_ended(self, trainer: Trainer) -> None:
        """After every epoch and its validation; `trainer.history[-1]` is its record."""

    def stopped(self, trainer: Trainer) -> None:
        """After the last step, also if it raised an exception."""


class Trainer:
    """A multi-head network in training; validated with the moving average of its weights."""

    def __init__(
        self,
        network: MACE,
        settings: Settings,
        sampling: Sampling,
        train: Sequence[Batch],
        valid: Sequence[Batch],
        processes: Processes,
    ) -> None:
        """`sampling` numbers the samples of `train`.

        Raises MHFFError for settings that need structures to validate with if there are none.
        """
        if not valid:
            _check_without_validation(settings)
        self.network = network.to(processes.device)
        self.settings = settings
        self.sampling = sampling
        self.train = train
        self.valid = valid
        self.processes = processes
        run = settings.run
        self.steps_per_epoch = -(-len(sampling) // run.batch_size)
        schedule = Schedule(settings.schedule, self.steps_per_epoch, run.epochs)
        self.updater = Updater(network, settings.optimiser, schedule, run.dtype == "mixed")
        self.epoch = 0
        """Complete epochs."""
        self.step = 0
        """Steps of the present epoch."""
        self.best = math.inf
        """Lowest validation loss."""
        self.stagnant = 0
        """Epochs since it was reached."""
        self.history: list[dict[str, Any]] = []
        """One record per epoch: losses and, per head, validation errors."""
        self.errors: dict[str, Errors] = {}
        """Errors of the last validation, by head."""
        self._sums = torch.zeros(
            len(Weights._fields) + 1, dtype=torch.float64, device=processes.device
        )
        """Sums over the steps of the present epoch: terms of the loss, norm of the gradient."""

    @property
    def n_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.settings.run.epochs

    @property
    def train_loss(self) -> float:
        """Mean loss over the steps of the present epoch so far; one step at least."""
        return float(self._sums[:-1].sum() / self.step)

    @property
    def is_best(self) -> bool:
        """Whether the last epoch has the lowest validation loss, or is the latest without one."""
        return self.stagnant == 0

    @property
    def finished(self) -> bool:
        """Whether the run ends here."""
        return is_finished(self.epoch, self.stagnant, self.settings.run)

    def fit(self, observers: Sequence[Observer]) -> None:
        """Train to the end; raises MHFFError if the loss is no longer finite."""
        for each in observers:
            each.started(self)
        try:
            while not self.finished:
                for parts in self._rest_of_the_epoch():
                    self._sums += self.take_step(parts)
                    self.step += 1
                    for each in observers:
                        each.stepped(self)
                self._end_epoch()
                for each in observers:
                    each.epoch_ended(self)
        finally:
            for each in observers:
                each.stopped(self)

    def _rest_of_the_epoch(self) -> Iterator[list[Batch]]:
        """This process's parts of each step that is left."""
        run = self.settings.run
        processes = self.processes
        steps = [
            shares(batch, processes.rank, processes.size, run.accumulate)
            for batch in batches(self.sampling.order(self.epoch), run.batch_size)[self.step :]
        ]
        loaded = load_batches(self.train, [part for parts in steps for part in parts])
        for parts in steps:
            yield list(islice(loaded, len(parts)))

    def take_step(self, parts: Sequence[Batch]) -> torch.Tensor:
        """Change the weights; returns the terms of the batch's loss and the gradient's norm `[4]`.

        `parts` are this process's share of the batch.
        """
        terms = self.gradients(parts)
        return torch.cat([terms, self.updater.update().reshape(1)])

    def gradients(self, parts: Sequence[Batch]) -> torch.Tensor:
        """Add the gradients of a batch's loss to the weights'; returns the terms of the loss."""
        moved = [part.to(self.processes.device, self.network.dtype) for part in parts]
        zeros = torch.zeros(len(Weights._fields), dtype=torch.float64, device=self.processes.device)
        counts = self.processes.sum(sum(map(label_counts, moved), zeros))
        total = zeros
        for part in moved:
            prediction = self.predict(part, training=True)
            terms = mean(weighted_sums(prediction, part, self.settings.loss), counts)
            terms.sum().backward(inputs=self.updater.parameters)  # not by positions
            total = total + terms.detach()
        self.processes.sum_gradients(self.updater.parameters)
        return self.processes.sum(total)

    def predict(self, batch: Batch, training: bool) -> Prediction:
        """The network's predictions; with `training` a loss can be differentiated through them."""
        evaluate = partial(energies_and_edge_gradients, self.network, training=training)
        return predict(evaluate, batch, len(self.network.config.heads))

    def _end_epoch(self) -> None:
        """Validate, and record the epoch."""
        self.check_finite()
        valid_loss = self._validate() if self.valid else None
        _check_finite(valid_loss or 0.0, self.epoch)
        *terms, norm = (self._sums / self.step).tolist()
        self.history.append(
            {
                "epoch": self.epoch + 1,
                "learning_rate": self.updater.learning_rate,
                "gradient_norm": norm,
                "train_loss": sum(terms),
                "train_terms": Weights(*terms)._asdict(),
                "valid_loss": valid_loss,
                "valid": {head: errors.as_dict() for head, errors in self.errors.items()},
            }
        )
        self.updater.schedule.epoch_ended(valid_loss)
        if valid_loss is None or valid_loss < self.best:
            self.best = math.inf if valid_loss is None else valid_loss
            self.stagnant = 0
        else:
            self.stagnant += 1
        self.epoch += 1
        self.step = 0
        self._sums.zero_()

    def check_finite(self) -> None:
        """Raise MHFFError if a loss or gradient of the present epoch is not finite."""
        _check_finite(float(self._sums.sum()), self.epoch)

    def _validate(self) -> float:
        """Loss of all validation structures; sets `errors` in the main process."""
        processes = self.processes
        everyone = batches(range(len(self.valid)), self.settings.run.batch_size)
        own = everyone[processes.rank :: processes.size]
        sums = torch.zeros(2, len(Weights._fields), dtype=torch.float64, device=processes.device)
        found: list[list[Comparison]] = []
        with self.updater.averaged():
            for batch in load_batches(self.valid, own):
                moved = batch.to(self.processes.device, self.network.dtype)
                prediction = self.predict(moved, training=False)
                terms = weighted_sums(prediction, moved, self.settings.loss)
                sums += torch.stack([terms, label_counts(moved)])
                found.append(compare(prediction, batch, self.network.config.heads))
        everything = _interleaved(processes.gather(found))
        self.errors = {key[0]: each for key, each in grouped(everything, group_by_head).items()}
        total, counts = processes.sum(sums)
        return float(mean(total, counts).sum())

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "best": self.best,
            "stagnant": self.stagnant,
            "history": self.history,
            "sums": self._sums,
            "network": self.network.state_dict(),
            "updater": self.updater.state(),
        }

    def continue_together(self, state: dict[str, Any] | None) -> None:
        """Continue from the state that the main process has, in all processes."""
        common = self.processes.same(state)
        if common is not None:
            self.load_state(common)

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue where a run was when it had this state."""
        self.epoch = state["epoch"]
        self.step = state["step"]
        self.best = state["best"]
        self.stagnant = state["stagnant"]
        self.history = list(state["history"])
        self._sums.copy_(state["sums"])
        self.network.load_state_dict(state["network"])
        self.updater.load_state(state["updater"])


def _check_finite(value: float, epoch: int) -> None:
    if not math.isfinite(value):
        raise MHFFError(
            f"the loss or its gradient became {value} in epoch {epoch + 1}; lower "
            "optimiser.learning_rate, or look for wrong labels among the structures"
        )


def is_finished(epoch: int, stagnant: int, run: RunSettings) -> bool:
    """Whether all epochs are done, or the validation loss has not fallen for long enough."""
    return epoch >= run.epochs or (run.patience is not None and stagnant >= run.patience)


def _check_without_validation(settings: Settings) -> None:
    """Raise MHFFError for settings that follow the validation loss."""
    asked = {
        "schedule.kind: plateau": settings.schedule.kind == "plateau",
        f"run.patience: {settings.run.patience}": settings.run.patience is not None,
    }
    needed = [setting for setting, is_set in asked.items() if is_set]
    if needed:
        raise MHFFError(
            f"expected structures to validate with, for {' and '.join(needed)}, got none; set "
            "data.valid to a fraction, or remove the setting"
        )


def _interleaved(found: Sequence[Sequence[list[Comparison]]]) -> list[Comparison]:
    """Comparisons in the order of the batches, which the processes took in turn."""
    n_batches = sum(map(len, found))
    return [
        item
        for number in range(n_batches)
        for item in found[number % len(found)][number // len(found)]
    ]
