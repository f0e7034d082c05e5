"""Settings of the loggers: TensorBoard and Weights & Biases."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from mhff.yamlfile import Section


class LoggerName(StrEnum):
    """A program that draws the curves of a run while it trains."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"


class WandbSettings(Section):
    """Where Weights & Biases keeps a run."""

    project: str = Field(default="mhff", min_length=1)
    entity: str | None = None
    """User or team; null: the one that is logged in."""
    mode: Literal["online", "offline"] = "online"
    """offline: everything stays in run.out/wandb until `wandb sync` sends it."""
