"""Progress of a run on the terminal: a bar with the time left, and lines of losses and errors."""

from __future__ import annotations

from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mhff.durations import in_words
from mhff.evaluate.errors import QUANTITIES, Errors
from mhff.train.trainer import Observer, Trainer

SECONDS_BETWEEN_LINES = 300.0
"""Time after which a line reports on an epoch that is not done yet."""
SECONDS_BETWEEN_LOOKS = 1.0
"""Time between two looks at the loss for the bar: on a GPU each waits for the steps before."""


class ProgressReport(Observer):
    """A bar over all steps of the run; above it, lines about epochs and parts of long ones."""

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
        self.began = monotonic()
        self.first_step = trainer.updater.steps
        self.looked = self.began
        self.printed = self.began
        self.task = self.bar.add_task(_epoch(trainer), total=trainer.n_steps)
        self.bar.start()
        self.bar.update(self.task, completed=trainer.updater.steps)

    def stepped(self, trainer: Trainer) -> None:
        """Advance by one step; now and then show the loss, in a long epoch also in a line."""
        self.bar.update(self.task, completed=trainer.updater.steps)
        now = monotonic()
        if now - self.looked >= SECONDS_BETWEEN_LOOKS:
            self.looked = now
            description = f"{_epoch(trainer)}, loss {trainer.train_loss:.3g}"
            self.bar.update(self.task, description=description)
        if now - self.printed >= SECONDS_BETWEEN_LINES:
            self._print(
                f"epoch {trainer.epoch + 1:4d}, step {trainer.step} of {trainer.steps_per_epoch}:  "
                f"loss {trainer.train_loss:.4g};  {self._pace(trainer)}"
            )

    def epoch_ended(self, trainer: Trainer) -> None:
        """Print losses and each head's validation errors, and show the number of the next epoch."""
        record = trainer.history[-1]
        errors = [f"{head} {_errors(each)}" for head, each in trainer.errors.items()]
        losses = f"loss {record['train_loss']:.4g}"
        if record["valid_loss"] is not None:
            losses += f", {record['valid_loss']:.4g} in validation"
        self._print(
            f"epoch {trainer.epoch:4d}, validation errors:  "
            f"{';  '.join([*errors, losses, self._pace(trainer)])}"
        )
        self.bar.update(self.task, description=_epoch(trainer))

    def stopped(self, trainer: Trainer) -> None:
        """Stop the bar, however the run ends."""
        self.bar.stop()

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True, markup=False)
        self.printed = monotonic()

    def _pace(self, trainer: Trainer) -> str:
        """The learning rate and the time left, from the steps of this session."""
        done = trainer.updater.steps - self.first_step
        left = trainer.n_steps - trainer.updater.steps
        rate = f"learning rate {trainer.updater.learning_rate:.2g}"
        if not left or not done:  # a session may begin behind the last step of an epoch
            return rate
        return f"{rate}, {in_words((monotonic() - self.began) / done * left)} left"


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
