"""The course of the learning rate: a factor for every step."""

from __future__ import annotations

import math
from typing import Any

from mhff.train.sections.schedule import ScheduleSettings


class Schedule:
    """Factors of the learning rate; `plateau` learns of every epoch's validation loss."""

    def __init__(self, settings: ScheduleSettings, steps_per_epoch: int, epochs: int) -> None:
        self.settings = settings
        self.warm_up = settings.warm_up * steps_per_epoch
        self.steps = steps_per_epoch * epochs
        self.best = math.inf
        self.stagnant = 0
        """Epochs since the validation loss was last lower."""
        self.plateaus = 0

    def factor(self, step: int) -> float:
        """Factor at a step, counted from 0."""
        if step < self.warm_up:
            return (step + 1) / (self.warm_up + 1)
        if self.settings.kind == "cosine":
            progress = (step - self.warm_up) / max(self.steps - self.warm_up, 1)
            return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return float(self.settings.factor**self.plateaus)

    def epoch_ended(self, valid_loss: float | None) -> None:
        """Lower the learning rate if this is a plateau."""
        if self.settings.kind != "plateau" or valid_loss is None:
            return
        if valid_loss < self.best:
            self.best = valid_loss
            self.stagnant = 0
            return
        self.stagnant += 1
        if self.stagnant > self.settings.patience:
            self.plateaus += 1
            self.stagnant = 0

    def state(self) -> dict[str, Any]:
        """Content for a checkpoint."""
        return {"best": self.best, "stagnant": self.stagnant, "plateaus": self.plateaus}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.best = state["best"]
        self.stagnant = state["stagnant"]
        self.plateaus = state["plateaus"]
