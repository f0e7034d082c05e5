"""Settings of a run: its length, its device, its output."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from mhff.yamlfile import Section


class RunSettings(Section):
    """Length, device and output of the run."""

    out: Path = Path("runs")
    """Folder for checkpoint, log, error tables and model; see `HeadSettings.files`."""
    seed: int = Field(default=0, ge=0)
    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=8, ge=1)
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    dtype: Literal["float32", "float64"] = "float32"
    kernels: bool = True
    """Whether training runs in compiled kernels, on CPUs with a C++ compiler."""
