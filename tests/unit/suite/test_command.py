"""`mhff suite` says what is wrong in one sentence, and writes everything for a tiny model."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from command_line import Here, output_of, refusal_of
from models import random_model, tiny_model


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.mhff"
    tiny_model().save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--tasks s23", "unknown task 's23': the nearest is s22, and the tasks are "),
        ("--heads nothing", "unknown head 'nothing': this model has the heads materials, "),
        ("--workers 0", "expected one worker or more, got 0"),
        ("--data nowhere", "--data: no folder "),
        ("--against mini", "--against names 'mini' itself; name another model"),
    ],
)
def test_a_mistake_is_one_sentence(mhff: Here, arguments: str, sentence: str) -> None:
    assert refusal_of(mhff("suite", "mini", *arguments.split())).startswith(sentence)


def test_a_program_is_refused(mhff: Here, tmp_path: Path) -> None:
    path = tmp_path / "program.pt2"
    path.write_bytes(b"PK" + bytes(100))
    assert "mhff suite needs the model itself" in refusal_of(mhff("suite", path))


def test_models_without_a_common_head_are_refused(mhff: Here, tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mhff"
    random_model("one_layer", heads=("elsewhere",)).save(other)
    sentence = refusal_of(mhff("suite", tiny, "--against", other))
    assert "compare models that have a head in common" in sentence


@pytest.mark.slow
def test_all_files_are_written_and_models_compared(mhff: Here, tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mhff"
    tiny_model(seed=5).save(other)
    out = tmp_path / "out"
    html = tmp_path / "page.html"
    options = ["--quick", "--heads", "mol,surf", "--tasks", "diatomics,dcdft", "-o", out]
    done = mhff("suite", tiny, *options, "--against", other, "--html", html)
    printed = output_of(done)
    assert "diatomics" in printed
    found = json.loads((out / "suite.json").read_text())
    assert {line["head"] for line in found["results"]} == {"molecules", "surfaces"}
    assert {line["task"] for line in found["results"]} == {"diatomics", "dcdft"}
    assert found["changes"]
    rows = list(csv.DictReader((out / "suite.csv").read_text().splitlines()))
    assert {row["model"] for row in rows} == {str(tiny), str(other)}
    written = (out / "suite.md").read_text()
    assert written.startswith(f"# {tiny} against {other}\n")
    assert written.count("| diatomics |") > 4, "expected changes, then values"
    assert len(re.findall(r"-> \S+(, gain|, loss)? \|", written)) == len(found["changes"])
    page = html.read_text()
    assert page == (out / "suite.html").read_text()
    assert "<svg" in page
    assert not re.search(r'(src|href)="http', page)
    again = json.loads(output_of(mhff("suite", tiny, *options, "--against", other, "--json")))
    assert again == found
