"""Settings of replay: structures that keep the heads of the start model in place."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mhff.train.sections.heads import SourceSettings


class ReplaySettings(SourceSettings):
    """Replayed structures of one head of the start model."""

    weight: float = Field(default=1.0, ge=0)
    """Weight of these structures in the loss; 0: they only measure what the head forgets."""
    labels: Literal["file", "model"] = "file"
    """Whether energies, forces and stresses are those of the files or the start model's own."""
    draw: Literal["all", "random", "farthest", "chemistry"] = "all"
    """Which training structures are replayed.

    all; random; farthest: spread in the space of the start model's node features; chemistry: those
    that have only elements of the heads in `heads`.
    """
    number: int | None = Field(default=None, ge=1)
    """Training structures to draw, and the most for validation and test each, drawn at random."""

    @model_validator(mode="after")
    def _number_goes_with_draw(self) -> ReplaySettings:
        if self.draw in ("random", "farthest") and self.number is None:
            raise ValueError(f"draw: {self.draw} needs a number of structures; add number")
        if self.draw == "all" and self.number is not None:
            raise ValueError(
                "draw: all takes every structure and no number; remove number, or set draw to "
                "random, farthest or chemistry"
            )
        return self
