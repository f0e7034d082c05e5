"""The tables of `cross_learning.py`: test errors, and what heads gain from and lose to others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from cross_learning_recipes import BASE, EXPERIMENTS, RECIPES, SOURCES
from readme_table import Object, markdown

from mhff import __version__
from mhff_bench.machine import machine

BEGIN = "<!-- tables: written by benchmarks/result_tables.py -->\n"
"""The text of the document ends here, and its tables begin."""
ERRORS = {
    "energy": "energy_mae_meV_per_atom",
    "forces": "force_mae_meV_per_A",
    "stress": "stress_mae_meV_per_A3",
}
"""Names of the errors in a run's report."""
UNITS = {"energy": "meV/atom", "forces": "meV/A", "stress": "meV/A^3"}
TITLES = {
    "residual": "The classic block (MACE-MP)",
    "nonlinear_residual": "The non-linear block (mace-mh-1)",
}


def result(report: Object) -> Object:
    """Test errors of each head, and of the model that the run started from."""
    before = report["errors_of_start_model"]
    return {
        "errors": _test_errors(report["errors"]),
        "before": _test_errors(before) if before else {},
    }


def _test_errors(errors: Object) -> Object:
    return {
        head: {name: found[key] for name, key in ERRORS.items() if found[key] is not None}
        for head, found in errors["test"].items()
    }


def results(reports: Sequence[tuple[str, str, int, Path]]) -> Object:
    """The results of finished runs, given as recipe, block, seed and report."""
    runs = [
        {
            "recipe": recipe,
            "block": block,
            "seed": seed,
            "steps": (RECIPES | EXPERIMENTS)[recipe].steps,
            **result(json.loads(report.read_text())),
        }
        for recipe, block, seed, report in reports
    ]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {"mhff": __version__, "torch": version("torch")},
        "runs": runs,
    }


def document(text: str, content: Object) -> str:
    """The text of `results/cross_learning.md` with its tables made anew."""
    return text.split(BEGIN)[0] + BEGIN + "\n" + "\n".join(sections(content))


def sections(content: Object) -> Iterator[str]:
    """The tables, by block and number of steps."""
    yield "## Tables\n"
    yield (
        f"{content['date']}, mhff {content['versions']['mhff']}, torch "
        f"{content['versions']['torch']}, {content['machine']['processor']}.\n"
    )
    groups = dict.fromkeys((run["block"], run["steps"]) for run in content["runs"])
    for block, steps in sorted(groups, key=lambda group: (list(TITLES).index(group[0]), group[1])):
        runs = [run for run in content["runs"] if (run["block"], run["steps"]) == (block, steps)]
        yield f"### {TITLES[block]}, {steps} steps\n"
        yield errors_table(runs)
        yield from comparisons(runs)


def errors_table(runs: Sequence[Object]) -> str:
    """Test errors of every recipe: means over the seeds, and standard deviations."""
    shown = [(head, error) for head in SOURCES for error in ("energy", "forces")]
    header = ["recipe", "seeds", *(f"{head}, {error}, {UNITS[error]}" for head, error in shown)]
    rows = []
    for recipe in dict.fromkeys(run["recipe"] for run in runs):
        found = [run["errors"] for run in runs if run["recipe"] == recipe]
        cells = [
            spread([errors[head][error] for errors in found if head in errors])
            for head, error in shown
        ]
        rows.append([recipe, str(len(found)), *cells])
    return markdown(header, rows)


def comparisons(runs: Sequence[Object]) -> Iterator[str]:
    """Changes of errors, seed by seed: against the head alone, and against the base."""
    together = [run for run in runs if len(run["errors"]) > 1]
    alone = {
        (*run["errors"], run["seed"]): run["errors"] for run in runs if len(run["errors"]) == 1
    }
    gains, losses = [], []
    for recipe in dict.fromkeys(run["recipe"] for run in together):
        own = [run for run in together if run["recipe"] == recipe]
        gains.append([recipe, *(spread(list(gain(own, alone, head)), "+") for head in SOURCES)])
        if own[0]["before"]:
            losses.append([recipe, *(spread(list(loss(own, error)), "+") for error in ERRORS)])
    if any(any(cells[1:]) for cells in gains):
        yield "Force MAE against the head alone with the same seed, change in %:\n"
        yield markdown(["recipe", *SOURCES], gains)
    if losses:
        yield f"Errors of the head {BASE} against those before fine-tuning, change in %:\n"
        yield markdown(["recipe", *ERRORS], losses)


def gain(runs: Sequence[Object], alone: Mapping[Any, Object], head: str) -> Iterator[float]:
    """Change of a head's force error against the run of this head alone, %."""
    for run in runs:
        reference = alone.get((head, run["seed"]))
        if reference and head in run["errors"]:
            yield change(reference[head]["forces"], run["errors"][head]["forces"])


def loss(runs: Sequence[Object], error: str) -> Iterator[float]:
    """Change of the base head's error during fine-tuning, %."""
    for run in runs:
        before, after = (run[when][BASE] for when in ("before", "errors"))
        if error in before:
            yield change(before[error], after[error])


def change(before: float, after: float) -> float:
    """Relative change, %."""
    return 100 * (after / before - 1)


def spread(values: Sequence[float], sign: str = "") -> str:
    """Mean and standard deviation; the mean alone of one value."""
    if not values:
        return ""
    text = f"{mean(values):{sign}.1f}"
    return text if len(values) == 1 else f"{text} +- {stdev(values):.1f}"
