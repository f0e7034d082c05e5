"""Reports: errors before and after, heads that were not measured, tables for people and for CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import pytest
from labelled import E0S, both_heads
from models import random_model
from tolerances import ROUNDING, assert_close

from mhff.data.batch import Batch, sample
from mhff.data.reading import read_structures
from mhff.data.split import Part
from mhff.evaluate.errors import by_head_and_type, group_by_head, grouped
from mhff.evaluate.evaluation import evaluate_structures
from mhff.evaluator import EagerEvaluator
from mhff.modelfile import Model
from mhff.train.report import content
from mhff.train.report.content import Finished, Report, make_report
from mhff.train.settings import Settings

N_CELLS = 5
HISTORY: list[Mapping[str, Any]] = []
SETTINGS = Settings.model_validate(
    {"heads": {head: {"files": ["x"]} for head in E0S}, "run": {"dtype": "float64"}}
)


def model_with(heads: tuple[str, ...]) -> Model:
    return random_model(heads=heads, elements=("H", "O"))


@pytest.fixture(scope="module")
def structures(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = read_structures(both_heads(tmp_path_factory.mktemp("data"), N_CELLS))
    return [item for item in found if not item.is_isolated_atom]


def finished(model: Model, structures: Any, start: Model | None = None) -> Finished:
    heads = model.heads
    samples: list[Batch] = [
        sample(item, model.network.config, heads.index(item.head)) for item in structures
    ]
    parts: dict[Part, list[Batch]] = {"train": samples[::2], "valid": [], "test": samples[1::2]}
    return Finished(SETTINGS, parts, HISTORY, ("a note",), start)


@pytest.fixture(scope="module")
def report(structures: Any) -> Report:
    """The start model has one of the two heads, in another column, and one without structures."""
    model = model_with(("loose", "other", "tight"))
    start = model_with(("other", "tight"))
    return make_report(finished(model, structures, start), model)


def test_errors_of_each_part(report: Report, structures: Any) -> None:
    evaluator = EagerEvaluator(report.model)
    for part, members in (("train", structures[::2]), ("test", structures[1::2])):
        expected = by_head_and_type(evaluate_structures(evaluator, members))
        assert report.as_json()["errors"][part] == expected
    assert "valid" not in report.after


def test_the_start_model_is_evaluated_with_its_own_columns(report: Report, structures: Any) -> None:
    start = report.run.start
    tight = [item for item in structures[1::2] if item.head == "tight"]
    (expected,) = grouped(evaluate_structures(EagerEvaluator(start), tight), group_by_head).values()
    (found,) = grouped(report.before["test"], group_by_head).items()
    assert found[0] == ("tight",)
    assert found[1].structures == len(tight)
    assert_close(found[1].forces.mae, expected.forces.mae, ROUNDING)
    assert_close(found[1].energy.mae, expected.energy.mae, ROUNDING)


def test_the_table_of_forgetting(report: Report) -> None:
    table = report.forgetting()
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    assert [(row["head"], row["part"]) for row in rows] == [("tight", "train"), ("tight", "test")]
    before = grouped(report.before["test"], group_by_head)["tight",]
    after = report.by_head["test"]["tight",]
    row = rows[1]
    assert row["force_before"] == before.forces.mae
    assert row["force_after"] == after.forces.mae
    change = 100 * (after.forces.mae / before.forces.mae - 1)
    assert row["force_change"] == pytest.approx(change)
    assert report.unmeasured == ["other"]


def test_without_a_start_model(structures: Any) -> None:
    model = model_with(("loose", "tight"))
    report = make_report(finished(model, structures), model)
    assert report.before == {}
    assert report.unmeasured == []
    assert report.as_json()["errors_of_start_model"] is None


def test_a_csv_row_for_each_model_part_head_and_type(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(report.rows().csv())))
    found = {(row["model"], row["part"], row["head"], row["config_type"]): row for row in rows}
    assert len(found) == len(rows)
    assert {key[:3] for key in found} >= {
        ("start", "test", "tight"),
        ("trained", "test", "loose"),
        ("trained", "train", "tight"),
    }
    total = found["trained", "test", "loose", ""]
    assert total["force_rmse_meV_per_A"] == str(report.by_head["test"]["loose",].forces.rmse)
    assert ("trained", "test", "loose", "cell") in found


def test_the_worst_types_come_first(report: Report) -> None:
    table = report.by_type("train")
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    assert [row["head"] for row in rows] == sorted(row["head"] for row in rows)


def test_very_many_training_structures_are_thinned(
    structures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "MAX_TRAINING_STRUCTURES", 2)
    model = model_with(("loose", "tight"))
    report = make_report(finished(model, structures), model)
    assert [len(report.after[part]) for part in ("train", "test")] == [2, N_CELLS]
