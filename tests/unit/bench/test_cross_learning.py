"""The comparison of recipes: every run is a valid one of equal length, and the tables are right."""

from __future__ import annotations

from typing import Any

import cross_learning
import pytest
from cross_learning_recipes import BASE, BLOCKS, SOURCES, STEPS_PER_EPOCH
from cross_learning_table import BEGIN, comparisons, document, errors_table

from mhff.train.settings import Settings

N_TRAINING = {"materials": 145, "surfaces": 86, "molecules": 1270}


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("recipe", cross_learning.ALL)
def test_runs_have_equally_many_steps(
    recipe: str, block: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_learning, "n_training", N_TRAINING.__getitem__)
    settings = Settings.model_validate(cross_learning.Run(recipe, block, 0).content())
    seen = sum(
        round(source.repeats * N_TRAINING[head])
        for head, source in settings.sources.items()
        if source.weight
    )
    assert -(-seen // settings.run.batch_size) == STEPS_PER_EPOCH


def run(recipe: str, seed: int, forces: dict[str, float], before: float | None = None) -> Any:
    errors = {head: {"energy": 1.0, "forces": value} for head, value in forces.items()}
    start = {} if before is None else {BASE: {"energy": 2.0, "forces": before}}
    return {
        "recipe": recipe,
        "block": "residual",
        "steps": 2000,
        "seed": seed,
        "errors": errors,
        "before": start,
    }


RUNS = [
    run("surfaces", 0, {"surfaces": 100.0}),
    run("surfaces", 1, {"surfaces": 110.0}),
    run("replay", 0, {"materials": 66.0, "surfaces": 80.0, "molecules": 50.0}, before=60.0),
    run("replay", 1, {"materials": 54.0, "surfaces": 99.0, "molecules": 60.0}, before=60.0),
]


def test_means_and_spreads() -> None:
    rows = errors_table(RUNS).splitlines()[2:]
    assert rows == [
        "| surfaces | 2 |  |  | 1.0 +- 0.0 | 105.0 +- 7.1 |  |  |",
        "| replay | 2 | 1.0 +- 0.0 | 60.0 +- 8.5 | 1.0 +- 0.0 | 89.5 +- 13.4 | 1.0 +- 0.0 "
        "| 55.0 +- 7.1 |",
    ]


def test_changes_compare_runs_of_one_seed() -> None:
    _, gains, _, losses = comparisons(RUNS)
    assert gains.splitlines()[-1] == "| replay |  | -15.0 +- 7.1 |  |"
    assert losses.splitlines()[-1] == "| replay | -50.0 +- 0.0 | +0.0 +- 14.1 |  |"


def test_the_text_stays_and_the_tables_are_made_anew() -> None:
    about = {"processor": "a processor"}
    versions = {"mhff": "0", "torch": "0"}
    content = {
        "steps": 1,
        "structures_per_step": 1,
        "date": "today",
        "machine": about,
        "runs": RUNS,
    }
    once = document(f"text\n{BEGIN}old tables\n", content | {"versions": versions})
    assert once == document(once, content | {"versions": versions})
    assert once.startswith("text\n")
    assert "old tables" not in once
    assert all(head in once for head in SOURCES)
