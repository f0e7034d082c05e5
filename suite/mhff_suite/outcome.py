"""The outcome of a task: numbers with their targets, and the data of its figures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Numbers = tuple[float, ...]


class Record(BaseModel):
    """A part of an outcome; it is written to JSON and read back unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Value(Record):
    """One number; smaller is better."""

    quantity: str
    value: Annotated[float, Field(allow_inf_nan=False)]
    unit: str
    target: Annotated[float, Field(gt=0)]
    """The value of a good potential: chemical accuracy, or the tolerance of a physical law."""
    sentence: str = ""
    """What a value above the target means, and where it occurs."""

    @property
    def passed(self) -> bool:
        """Whether the value is within its target."""
        return self.value <= self.target

    @property
    def score(self) -> float:
        """1 for an exact potential, 1/2 at the target, 0 far beyond it."""
        return 1.0 / (1.0 + abs(self.value) / self.target)


class Parity(Record):
    """References and predictions of one quantity."""

    kind: Literal["parity"] = "parity"
    title: str
    unit: str
    names: tuple[str, ...]
    """What each point is."""
    reference: Numbers
    predicted: Numbers


class Line(Record):
    """One curve; references are dashed."""

    label: str
    x: Numbers
    y: Numbers
    is_reference: bool = False


class Curves(Record):
    """Curves in one panel."""

    kind: Literal["curves"] = "curves"
    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...] = ()
    """Named places on the x axis, instead of numbers."""
    y_limits: tuple[float, float] | None = None


Drawing = Annotated[Parity | Curves, Field(discriminator="kind")]
"""The data of a figure."""


class Outcome(Record):
    """Everything that a task found out about a head."""

    values: tuple[Value, ...]
    drawings: tuple[Drawing, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences about parts that were left out."""
