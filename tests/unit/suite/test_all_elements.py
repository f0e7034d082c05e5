"""The whole quick suite runs for an architecture of published models that knows 89 elements."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.data import chemical_symbols
from models import random_model

from mhff_suite.jobs import Job
from mhff_suite.outcome import Outcome
from mhff_suite.registry import all_tasks
from mhff_suite.worker import run

NOT_IN_MACE = ("Po", "At", "Rn", "Fr", "Ra")
"""Elements up to Pu that mace-mh-1 does not know."""
ELEMENTS = tuple(symbol for symbol in chemical_symbols[1:95] if symbol not in NOT_IN_MACE)
LEVELS = ("matpes_r2scan", "omol")
MAY_BE_LEFT_OUT = ("has no minimum with this head", "has no minimum near its lattice constant")
"""Ends of the reasons that random weights give."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model of mace-mh-1's architecture."""
    path = tmp_path_factory.mktemp("model") / "all.mhff"
    smallest = {"l_max": 1, "correlation": 2, "n_channels": 2, "n_edge_channels": 2}
    random_model("mh1", elements=ELEMENTS, heads=LEVELS, r_max=4.0, **smallest).save(path)
    return path


def test_there_are_as_many_elements_as_in_the_published_model() -> None:
    assert len(ELEMENTS) == 89


@pytest.mark.slow
@pytest.mark.parametrize("name", all_tasks())
def test_a_task_runs(name: str, model: Path, suite_data: tuple[Path, ...]) -> None:
    folders = tuple(map(str, suite_data))
    done = run(Job(str(model), name, LEVELS[0], quick=True, data=folders))
    assert done.state != "failed", done.why
    if done.state == "left out":
        assert done.why.startswith("needs ") or any(part in done.why for part in MAY_BE_LEFT_OUT)
        return
    assert done.outcome is not None
    assert Outcome.model_validate_json(done.outcome.model_dump_json()) == done.outcome
    assert done.outcome.values
