"""The content of a report: predictions of the trained model and of the start model, and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from typing import Any

import torch

from mhff.data.batch import Batch
from mhff.data.loading import load_batches
from mhff.data.split import PARTS, Part
from mhff.evaluate.errors import (
    QUANTITIES,
    Comparison,
    Errors,
    by_head_and_type,
    group_by_head,
    group_by_type,
    grouped,
)
from mhff.evaluate.evaluation import BATCH_SIZE, evaluate_batches
from mhff.evaluate.table import Column, Table, Value, error_table, text_column
from mhff.evaluator import EagerEvaluator
from mhff.modelfile import Model
from mhff.train.settings import Settings

ErrorsByPart = dict[Part, dict[tuple[str, ...], Errors]]
"""Errors by part of the data and by head."""
Comparisons = dict[Part, list[Comparison]]
UNKNOWN = -1
"""Column of a head that the start model does not have."""
MAX_TRAINING_STRUCTURES = 50_000
"""Training structures in a report."""
MIN_RATIO = 1e-3
"""Ratio of errors before and after, below which the labels are the start model's predictions."""
START = "start"
TRAINED = "trained"


@dataclass(frozen=True)
class Finished:
    """A finished run, as its report sees it."""

    settings: Settings
    samples: Mapping[Part, Sequence[Batch]]
    history: Sequence[Mapping[str, Any]]
    """One record per epoch: see `mhff.train.trainer.Trainer.history`."""
    notes: Sequence[str]
    """Sentences about the data."""
    start: Model | None
    """The model that the run started from."""

    @property
    def parts(self) -> list[Part]:
        """The parts that have structures."""
        return [part for part in PARTS if len(self.samples[part])]


@dataclass(frozen=True)
class Report:
    """Everything that a report says."""

    run: Finished
    model: Model
    """The best model."""
    after: Comparisons
    """Predictions of the best model."""
    before: Comparisons
    """Predictions of the start model, for structures of its heads; empty without start model."""

    @cached_property
    def by_head(self) -> ErrorsByPart:
        """Errors of the best model."""
        return {part: grouped(each, group_by_head) for part, each in self.after.items()}

    @property
    def unmeasured(self) -> list[str]:
        """Heads of the start model that the run has no structures of."""
        start = self.run.start
        known = set() if start is None else set(start.heads.names)
        seen = {item.head for each in self.before.values() for item in each}
        return [head for head in self.model.heads.names if head in known - seen]

    def error_json(self) -> dict[str, Any]:
        """Errors by part, head and configuration type, as `mhff eval --json` gives each part."""
        return {part: by_head_and_type(each) for part, each in self.after.items()}

    def as_json(self) -> dict[str, Any]:
        """All numbers."""
        before = {part: by_head_and_type(each) for part, each in self.before.items()}
        return {
            "name": self.run.settings.name,
            "errors": self.error_json(),
            "errors_of_start_model": before if self.run.start else None,
            "epochs": list(self.run.history),
            "heads": [head.model_dump(mode="json") for head in self.model.heads],
            "notes": list(self.run.notes),
            "provenance": {
                key: value for key, value in self.model.provenance.items() if key != "errors"
            },
        }

    def rows(self) -> Table:
        """Errors of both models by part, head and configuration type, for CSV."""
        models = {START: self.before, TRAINED: self.after}
        groups = {
            (model, part, *group): errors
            for model, parts in models.items()
            for part, each in parts.items()
            for group, errors in _groups(each).items()
        }
        return error_table(groups, ["model", "part", "head", "config type"])

    def summary(self) -> Table:
        """Errors by head and part."""
        groups: dict[tuple[str, ...], Errors] = {
            (head, part): rows[head,]
            for head in self.model.heads.names
            for part, rows in self.by_head.items()
            if (head,) in rows
        }
        return error_table(groups, ["head", "part"])

    def by_type(self, part: Part) -> Table:
        """Errors of one part by head and configuration type, the worst forces of a head first."""
        groups = grouped(self.after[part], group_by_type)
        order = self.model.heads.names

        def place(group: tuple[str, ...]) -> tuple[int, float]:
            size = groups[group].forces or groups[group].energy
            return order.index(group[0]), -size.mae if size else 0.0

        ordered = {group: groups[group] for group in sorted(groups, key=place)}
        return error_table(ordered, ["head", "config type"])

    def forgetting(self) -> Table:
        """Mean absolute errors of the start model's heads before and after the run."""
        by_head = self.by_head
        rows = [
            (head, part, errors.structures, *_changes(errors, by_head[part][head,]))
            for part, each in self.before.items()
            for (head,), errors in grouped(each, group_by_head).items()
        ]
        order = self.model.heads.names
        rows.sort(key=lambda row: order.index(row[0]))
        columns = [text_column("head"), text_column("part"), Column("structures", "structures")]
        for quantity in QUANTITIES:
            heading = f"{quantity.name} MAE before, {quantity.unit}"
            columns += [
                Column(f"{quantity.name}_before", heading, quantity.digits),
                Column(f"{quantity.name}_after", "after", quantity.digits),
                Column(f"{quantity.name}_change", "change, %", 0, signed=True),
            ]
        return Table(tuple(columns), tuple(rows))


def make_report(run: Finished, model: Model) -> Report:
    """Evaluate the best model and the start model on the structures of a run."""
    evaluator = _evaluator(model, run)
    after = {part: evaluate_batches(evaluator, _batches(run, part)) for part in run.parts}
    before = {} if run.start is None else _before(run, run.start, model)
    return Report(run, model, after, before)


def _before(run: Finished, start: Model, model: Model) -> Comparisons:
    """Predictions of the start model for the structures of its heads."""
    names = start.heads.names
    columns = torch.tensor(
        [names.index(name) if name in names else UNKNOWN for name in model.heads.names]
    )
    evaluator = _evaluator(start, run)
    found: Comparisons = {part: [] for part in run.parts}
    for part, comparisons in found.items():
        for batch in _batches(run, part):
            head = columns[batch.head]
            if (head == UNKNOWN).all():
                continue
            moved = replace(batch, head=head.clamp(min=0))  # the first stands for unknown ones
            every = evaluate_batches(evaluator, [moved])
            comparisons += compress(every, (head != UNKNOWN).tolist())
    return {part: comparisons for part, comparisons in found.items() if comparisons}


def _batches(run: Finished, part: Part) -> Iterator[Batch]:
    """The structures of a part; of very many for training an even selection."""
    samples = run.samples[part]
    step = -(-len(samples) // MAX_TRAINING_STRUCTURES) if part == "train" else 1
    chosen = range(0, len(samples), step)
    members = [chosen[start : start + BATCH_SIZE] for start in range(0, len(chosen), BATCH_SIZE)]
    return load_batches(samples, members)


def _evaluator(model: Model, run: Finished) -> EagerEvaluator:
    settings = run.settings.run
    return EagerEvaluator(model, settings.device, settings.precision)


def _groups(comparisons: Sequence[Comparison]) -> dict[tuple[str, ...], Errors]:
    """Errors per head, with an empty configuration type, and per configuration type."""
    by_head = grouped(comparisons, group_by_head)
    return {(*head, ""): each for head, each in by_head.items()} | grouped(
        comparisons, group_by_type
    )


def _changes(before: Errors, after: Errors) -> list[Value]:
    """Error before, error after and change in per cent, for every quantity."""
    values: list[Value] = []
    for quantity in QUANTITIES:
        old = before.of(quantity)
        new = after.of(quantity)
        if old is None or new is None:
            values += [None, None, None]
        else:
            means_something = old.mae > MIN_RATIO * new.mae
            change = 100 * (new.mae / old.mae - 1) if means_something else None
            values += [old.mae, new.mae, change]
    return values
