"""Progress of a run on the terminal: a bar with the time left, and one line per epoch."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mhff.evaluate.errors import QUANTITIES, Errors
from mhff.train.module import TrainingModule


class ProgressReport(Callback):
    """A bar over all steps of the run; above it, each head's validation errors after each epoch."""

    def __init__(self, console: Console) -> None:
        columns = [
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
        ]
        times = [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
        self.console = console
        self.bar = Progress(*columns, *times, console=console)

    def on_train_start(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Start the bar at the step where the run starts or continues."""
        epochs = module.settings.run.epochs
        done = trainer.global_step
        total = len(module.train_dataloader()) * epochs
        self.task = self.bar.add_task(
            f"epoch {min(trainer.current_epoch + 1, epochs)}", total=total, completed=done
        )
        self.bar.start()

    def on_train_batch_end(self, *_: Any) -> None:
        """Advance by one step."""
        self.bar.advance(self.task)

    def on_train_epoch_end(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Show the number of the next epoch, if there is one."""
        following = min(trainer.current_epoch + 2, module.settings.run.epochs)
        self.bar.update(self.task, description=f"epoch {following}")

    def on_validation_end(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Print each head's validation errors."""
        parts = [f"{head} {_errors(errors)}" for head, errors in module.validation_errors().items()]
        self.console.print(
            f"epoch {trainer.current_epoch + 1:4d}, validation errors:  {';  '.join(parts)}",
            highlight=False,
            soft_wrap=True,
        )

    def teardown(self, trainer: Trainer, module: Any, stage: str) -> None:
        """Stop the bar, however the run ends."""
        self.bar.stop()


def _errors(errors: Errors) -> str:
    """The mean absolute errors in energy and forces."""
    parts = [
        f"{size.mae:.{quantity.digits}f} {quantity.unit}"
        for quantity in QUANTITIES[:2]
        if (size := errors.of(quantity)) is not None
    ]
    return ", ".join(parts) or "without labels"
