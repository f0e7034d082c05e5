"""Settings of a run: its length, its batches, its device, its output."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from mhff.options import Precision
from mhff.train.sections.loggers import LoggerName, WandbSettings
from mhff.yamlfile import Section


class RunSettings(Section):
    """Length, batches, device and output of the run."""

    out: Path = Path("runs")
    """Folder for checkpoint, log, error tables and model; see `HeadSettings.files`."""
    seed: int = Field(default=0, ge=0)
    epochs: int = Field(default=100, ge=1)
    patience: int | None = Field(default=None, ge=1)
    """Epochs without a lower validation loss after which the run ends early; null: it does not."""
    batch_size: int = Field(default=8, ge=1)
    """Structures per step, those of all processes together."""
    accumulate: int = Field(default=1, ge=1)
    """Parts of a batch that are evaluated one after another: the same step with less memory."""
    sampling_temperature: float = Field(default=1.0, ge=1)
    """How much more often an epoch sees small heads: see `mhff.train.sampling`."""
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    dtype: Literal["float32", "float64", "mixed"] = "float32"
    """mixed: the network in float32; its weights, their average and the optimiser in float64."""
    kernels: bool = True
    """Whether training runs in compiled kernels, on CPUs with a C++ compiler."""
    loggers: tuple[LoggerName, ...] = ()
    """Programs that draw curves while the run trains."""
    wandb: WandbSettings = WandbSettings()
    checkpoint_minutes: float = Field(default=10.0, ge=0)
    """Minutes after which a checkpoint is written inside an epoch; one follows each epoch, too."""

    @property
    def precision(self) -> Precision:
        """Floating-point type of the network."""
        return Precision.FLOAT64 if self.dtype == "float64" else Precision.FLOAT32
