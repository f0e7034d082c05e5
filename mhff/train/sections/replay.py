"""Settings of replay: structures that keep the heads of the start model in place."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mhff.data.keys import Keys
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

    @property
    def needs_labels(self) -> bool:
        """Whether the labels of the files are used."""
        return self.labels == "file"

    @property
    def read_keys(self) -> Keys:
        """The names of the labels that are read: none but the state's if the model labels."""
        unused = dict.fromkeys(("energy", "forces", "stress", "virials"))
        return self.keys if self.needs_labels else self.keys.model_copy(update=unused)

    @model_validator(mode="after")
    def _filter_needs_labels(self) -> ReplaySettings:
        if not self.needs_labels and self.filter.max_force is not None:
            raise ValueError(
                "labels: model ignores the forces of the files, which filter.max_force needs; "
                "remove one"
            )
        return self

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
