"""What every task promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mhff.heads import Head
from mhff_suite import tasks
from mhff_suite.protocol import Reference
from mhff_suite.registry import all_tasks, choose_tasks

MAX_LINES = 200
TASKS = all_tasks()


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_described(name: str) -> None:
    task = TASKS[name]
    assert task.name == name
    assert re.fullmatch(r"[a-z0-9-]+", name)
    for text in (task.title, task.reference.theory, task.reference.source, task.reference.licence):
        assert text
    assert task.computes.endswith(".")
    assert task.cost > 0


def test_each_task_is_a_short_module() -> None:
    modules = [path for path in Path(tasks.__path__[0]).glob("*.py") if path.stem != "__init__"]
    assert len(modules) == len(TASKS)
    for path in modules:
        assert len(path.read_text().splitlines()) < MAX_LINES, path.name


def test_the_documentation_explains_each_task() -> None:
    text = (Path(__file__).parents[3] / "docs/suite.md").read_text()
    bold = set(re.findall(r"\*\*([a-z0-9-]+)\.?\*\*", text))
    assert bold == set(TASKS)


def test_tasks_are_chosen_by_name_or_domain() -> None:
    assert [task.name for task in choose_tasks(["s22"])] == ["s22"]
    crystals = choose_tasks(["crystals"])
    assert crystals == [task for task in TASKS.values() if task.domain == "crystals"]
    assert len(choose_tasks([])) == len(TASKS)


@pytest.mark.parametrize(
    ("level", "is_fair"),
    [
        ("PBE, PAW, plane waves", True),
        ("RPBE, PAW", False),
        ("r2SCAN (MatPES)", False),
        ("PBE-D3", True),
        ("unknown", False),
    ],
)
def test_a_test_is_fair_for_the_level_of_theory_of_its_references(
    level: str, is_fair: bool
) -> None:
    reference = Reference("PBE", "a book", "none", ("PBE",))
    assert reference.is_fair(Head(name="head", level_of_theory=level)) is is_fair
    assert Reference("physical law", "none", "none").is_fair(Head(name="head"))
