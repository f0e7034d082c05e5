"""The files of a report: errors of the best model as JSON and Markdown, and in its provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mhff.data.batch import Batch
from mhff.data.split import PARTS, Part
from mhff.evaluate.errors import Errors, group_by_head, grouped
from mhff.evaluate.evaluation import evaluate_samples
from mhff.evaluate.table import error_table
from mhff.evaluator import EagerEvaluator
from mhff.files import write_atomically
from mhff.modelfile import Model, load
from mhff.train.settings import Settings

JSON = "errors.json"
MARKDOWN = "errors.md"
REPORT_FILES = (JSON, MARKDOWN)
"""The names of the files in the run's folder."""

ErrorsByPart = dict[Part, dict[tuple[str, ...], Errors]]
"""Errors by part of the data and by head."""


def write_report(
    model_file: Path, settings: Settings, samples: Mapping[Part, Sequence[Batch]]
) -> ErrorsByPart:
    """Errors of a run's best model by part and head, which are also written.

    They go to the files of the report and to the model's provenance.
    """
    model = load(model_file)
    evaluator = EagerEvaluator(model, settings.run.device, settings.run.precision)
    errors = {part: _errors(evaluator, samples[part]) for part in PARTS if samples[part]}
    content = {
        part: {head: each.as_dict() for (head,), each in rows.items()}
        for part, rows in errors.items()
    }
    folder = settings.run.out
    write_atomically(folder / JSON, json.dumps(content, indent=2).encode())
    write_atomically(folder / MARKDOWN, _markdown(settings.name, errors).encode())
    Model(model.network, model.heads, {**model.provenance, "errors": content}).save(model_file)
    return errors


def _errors(evaluator: EagerEvaluator, samples: Sequence[Batch]) -> dict[tuple[str, ...], Errors]:
    return grouped(evaluate_samples(evaluator, samples), group_by_head)


def _markdown(name: str, errors: ErrorsByPart) -> str:
    title = f"# Errors of {name}"
    meaning = "Errors, with the numbers of structures, atoms and components behind them."
    sections = [
        f"## {part}\n\n{error_table(rows, ['head']).brief().markdown()}"
        for part, rows in errors.items()
    ]
    return "\n\n".join([title, meaning, "\n".join(sections)])
