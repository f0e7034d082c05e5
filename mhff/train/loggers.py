"""Curves of a run in TensorBoard and in Weights & Biases while it trains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from time import monotonic
from typing import Any

from mhff.errors import MHFFError
from mhff.evaluate.errors import QUANTITIES
from mhff.train.fingerprint import Fingerprint
from mhff.train.sections.loggers import LoggerName
from mhff.train.settings import Settings
from mhff.train.trainer import Observer, Trainer

SECONDS_BETWEEN_POINTS = 30.0
"""Time between two points of the training loss inside an epoch."""
SCALARS = {
    "learning_rate": "learning rate",
    "gradient_norm": "gradient norm",
    "train_loss": "loss/training",
    "valid_loss": "loss/validation",
}
"""Curves by entry of an epoch's record."""
RUNNING_LOSS = "loss/training, mean of the epoch so far"


class Logger(Observer):
    """Sends numbers by name to a program that draws curves.

    Each session sends all epochs of the run, so that its curves are whole after an interruption.
    """

    def __init__(self, settings: Settings, fingerprint: Fingerprint) -> None:
        self.settings = settings
        self.fingerprint = fingerprint
        self.sent = monotonic()

    def open(self) -> None:
        """Make ready; raises MHFFError if that is impossible."""
        raise NotImplementedError

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each of these curves."""
        raise NotImplementedError

    def close(self) -> None:
        """Send what is left."""
        raise NotImplementedError

    def started(self, trainer: Trainer) -> None:
        """Open, and send the epochs of earlier sessions."""
        self.open()
        for record in trainer.history:
            self._send(record, trainer)

    def stepped(self, trainer: Trainer) -> None:
        """Send the training loss now and then."""
        if monotonic() - self.sent >= SECONDS_BETWEEN_POINTS:
            self.write({RUNNING_LOSS: trainer.train_loss}, trainer.updater.steps)
            self.sent = monotonic()

    def epoch_ended(self, trainer: Trainer) -> None:
        """Send the record of the epoch."""
        self._send(trainer.history[-1], trainer)

    def stopped(self, trainer: Trainer) -> None:
        """Send what is left, however the run ends."""
        self.close()

    def _send(self, record: Mapping[str, Any], trainer: Trainer) -> None:
        self.write(dict(scalars(record)), record["epoch"] * trainer.steps_per_epoch)
        self.sent = monotonic()


class TensorBoard(Logger):
    """Event files in the folder `tensorboard` of the run."""

    def open(self) -> None:
        """Start an event file; points of earlier ones are hidden."""
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(self.settings.run.out / "tensorboard"), purge_step=0)

    def write(self, values: Mapping[str, float], step: int) -> None:
        """See `Logger.write`."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """See `Logger.close`."""
        self.writer.close()


class Wandb(Logger):
    """A run of Weights & Biases for each session; the sessions of one run are a group."""

    def open(self) -> None:
        """Begin a run; raises MHFFError if Weights & Biases refuses it."""
        import wandb

        where = self.settings.run.wandb
        try:
            self.run = wandb.init(
                project=where.project,
                entity=where.entity,
                mode=where.mode,
                dir=str(self.settings.run.out),
                name=self.settings.name,
                group=self.settings.name,
                config=self.fingerprint,
                reinit="create_new",
            )
        except wandb.errors.Error as error:
            reason = " ".join(str(error).split())
            raise MHFFError(
                f"Weights & Biases refuses the run ({reason}); log in with `wandb login`, or set "
                "run.wandb.mode to offline"
            ) from error

    def write(self, values: Mapping[str, float], step: int) -> None:
        """See `Logger.write`."""
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        """See `Logger.close`."""
        self.run.finish()


LOGGERS: Mapping[LoggerName, type[Logger]] = {
    LoggerName.TENSORBOARD: TensorBoard,
    LoggerName.WANDB: Wandb,
}


def check_installed(names: Iterable[LoggerName]) -> None:
    """Raise MHFFError if the package of a logger cannot be imported."""
    for name in names:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise MHFFError(
                f"run.loggers has {name}, which needs {error.name}, and that is not installed; get "
                f"it with pip install 'mhff[{name}]', or remove {name} from run.loggers"
            ) from error


def scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Names of curves, and their values in the record of an epoch."""
    for entry, name in SCALARS.items():
        if record[entry] is not None:
            yield name, record[entry]
    for term, value in record["train_terms"].items():
        yield f"loss/training, {term}", value
    for head, errors in record["valid"].items():
        for quantity in QUANTITIES:
            for kind in ("mae", "rmse"):
                value = errors[quantity.column(kind)]
                if value is not None:
                    yield f"{head}/{quantity.name} {kind.upper()}, {quantity.unit}", value
