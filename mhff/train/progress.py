"""Progress of a run on the terminal: a bar with the time left, and one line per epoch."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mhff.evaluate.errors import QUANTITIES, Errors
from mhff.train.trainer import Observer, Trainer


class ProgressReport(Observer):
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

    def started(self, trainer: Trainer) -> None:
        """Start the bar at the step where the run starts or continues."""
        self.task = self.bar.add_task(_epoch(trainer), total=trainer.n_steps)
        self.bar.start()
        self.stepped(trainer)

    def stepped(self, trainer: Trainer) -> None:
        """Advance by one step."""
        self.bar.update(self.task, completed=trainer.updater.steps)

    def epoch_ended(self, trainer: Trainer) -> None:
        """Print each head's validation errors, and show the number of the next epoch."""
        parts = [f"{head} {_errors(errors)}" for head, errors in trainer.errors.items()]
        self.console.print(
            f"epoch {trainer.epoch:4d}, validation errors:  {';  '.join(parts)}",
            highlight=False,
            soft_wrap=True,
        )
        self.bar.update(self.task, description=_epoch(trainer))

    def stopped(self, trainer: Trainer) -> None:
        """Stop the bar, however the run ends."""
        self.bar.stop()


def _epoch(trainer: Trainer) -> str:
    return f"epoch {min(trainer.epoch + 1, trainer.settings.run.epochs)}"


def _errors(errors: Errors) -> str:
    """The mean absolute errors in energy and forces."""
    parts = [
        f"{size.mae:.{quantity.digits}f} {quantity.unit}"
        for quantity in QUANTITIES[:2]
        if (size := errors.of(quantity)) is not None
    ]
    return ", ".join(parts) or "without labels"
