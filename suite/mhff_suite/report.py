"""The report of a suite: every value of every head, and how another model compares."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mhff.heads import Head, Heads
from mhff_suite.jobs import Done
from mhff_suite.outcome import Drawing, Outcome, Value
from mhff_suite.protocol import PHYSICAL_LAW, Domain, Task

SAME = 0.02
"""Difference of scores below which two models are equally good."""


@dataclass(frozen=True)
class Row:
    """One quantity of one task, with a value for each head that has one."""

    task: Task
    quantity: str
    unit: str
    target: float
    values: dict[str, Value]
    """By head."""


@dataclass(frozen=True)
class LeftOut:
    """A task without a result for a head."""

    task: str
    head: str
    why: str


@dataclass(frozen=True)
class ModelReport:
    """All results of one model."""

    model: str
    heads: tuple[Head, ...]
    """The heads that were tested."""
    tasks: tuple[Task, ...]
    done: dict[tuple[str, str], Done]
    """By task and head."""
    quick: bool = False

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Values by task and quantity."""
        return tuple(row for task in self.tasks for row in self._rows_of(task))

    def _rows_of(self, task: Task) -> Iterator[Row]:
        found: dict[str, dict[str, Value]] = {}
        for head, outcome in self._outcomes(task):
            for value in outcome.values:
                found.setdefault(value.quantity, {})[head] = value
        for quantity, values in found.items():
            first = next(iter(values.values()))
            yield Row(task, quantity, first.unit, first.target, values)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Tasks without a result: those that a head cannot do, lack data, or failed."""
        return tuple(
            LeftOut(task, head, f"failed: {done.why}" if done.state == "failed" else done.why)
            for (task, head), done in self.done.items()
            if done.state != "finished"
        )

    def drawings(self, task: Task) -> dict[str, tuple[Drawing, ...]]:
        """The figures of a task, by head."""
        return {head: each.drawings for head, each in self._outcomes(task) if each.drawings}

    def notes(self, task: Task) -> dict[str, tuple[str, ...]]:
        """What each head left out of a task."""
        return {head: each.notes for head, each in self._outcomes(task) if each.notes}

    def _outcomes(self, task: Task) -> Iterator[tuple[str, Outcome]]:
        for head in self.heads:
            outcome = self.done[task.name, head.name].outcome
            if outcome is not None:
                yield head.name, outcome

    def scores(self, head: str) -> dict[Domain, float]:
        """Mean score of a head in each domain, over its tasks, each the mean of its quantities."""
        by_task: dict[str, list[float]] = {}
        for row in self.rows:
            if head in row.values:
                by_task.setdefault(row.task.name, []).append(row.values[head].score)
        means = {name: _mean(each) for name, each in by_task.items()}
        by_domain: dict[Domain, list[float]] = {}
        for task in self.tasks:
            if task.name in means:
                by_domain.setdefault(task.domain, []).append(means[task.name])
        return {domain: _mean(each) for domain, each in by_domain.items()}

    def as_json(self) -> dict[str, Any]:
        """Everything in numbers."""
        return {
            "model": self.model,
            "quick": self.quick,
            "heads": {head.name: head.level_of_theory for head in self.heads},
            "results": [
                {
                    "task": row.task.name,
                    "domain": str(row.task.domain),
                    "head": head.name,
                    "quantity": row.quantity,
                    "value": row.values[head.name].value,
                    "unit": row.unit,
                    "target": row.target,
                    "theory": row.task.reference.theory,
                    "fair": row.task.reference.is_fair(head),
                    "source": row.task.reference.source,
                    "licence": row.task.reference.licence,
                    "sentence": row.values[head.name].sentence,
                }
                for row in self.rows
                for head in self.heads
                if head.name in row.values
            ],
            "left_out": [vars(each) for each in self.left_out],
        }


@dataclass(frozen=True)
class Change:
    """A quantity of one head of two models."""

    task: str
    quantity: str
    head: str
    before: Value
    after: Value
    is_law: bool = False
    """Whether it is the violation of a physical law."""

    @property
    def gain(self) -> float:
        """Difference of the scores: positive if the model is better than the other."""
        return self.after.score - self.before.score

    @property
    def word(self) -> str:
        """Gain, loss, or same; a law that both models keep is kept by both alike."""
        both_keep = self.is_law and self.before.passed and self.after.passed
        if both_keep or abs(self.gain) < SAME:
            return "same"
        return "gain" if self.gain > 0 else "loss"


@dataclass(frozen=True)
class Report:
    """The results of a model, and of another one to compare it with."""

    model: ModelReport
    other: ModelReport | None = None

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Every quantity that both models have, from the other model to this one."""
        if self.other is None:
            return ()
        before = {(row.task.name, row.quantity): row.values for row in self.other.rows}
        return tuple(
            Change(
                row.task.name,
                row.quantity,
                head,
                old[head],
                value,
                is_law=row.task.reference is PHYSICAL_LAW,
            )
            for row in self.model.rows
            if (old := before.get((row.task.name, row.quantity)))
            for head, value in row.values.items()
            if head in old
        )

    @property
    def compared_heads(self) -> list[str]:
        """Names of the heads that both models have, in order."""
        return list(dict.fromkeys(change.head for change in self.changes))

    def as_json(self) -> dict[str, Any]:
        """Everything in numbers."""
        found = self.model.as_json()
        if self.other is not None:
            found["against"] = self.other.as_json()
            found["changes"] = [
                {
                    "task": change.task,
                    "quantity": change.quantity,
                    "head": change.head,
                    "before": change.before.value,
                    "after": change.after.value,
                    "verdict": change.word,
                }
                for change in self.changes
            ]
        return found

    def csv(self) -> str:
        """One line for each value of each model."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        columns = [
            "task",
            "domain",
            "head",
            "quantity",
            "value",
            "unit",
            "target",
            "theory",
            "fair",
        ]
        writer.writerow(["model", *columns])
        for each in (self.model, self.other):
            for line in each.as_json()["results"] if each else ():
                writer.writerow([each.model if each else "", *(line[name] for name in columns)])
        return stream.getvalue()


def common_heads(model: Heads, other: Heads) -> list[str]:
    """Names of the heads that both models have."""
    return [name for name in model.names if name in other.names]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
