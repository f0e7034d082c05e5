"""Progress on the terminal: losses, errors, learning rate and time left; lines in long epochs."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from tiny_run import configure, history

from mhff.durations import in_words
from mhff.train import progress
from mhff.train.run import Run


def said_in(folder: Path) -> tuple[Run, list[str]]:
    screen = Console(file=io.StringIO(), width=200)
    run = Run(configure(folder, run={"epochs": 2, "kernels": False}))
    run.train(screen)
    return run, screen.file.getvalue().splitlines()


def test_a_line_for_each_epoch(tmp_path: Path) -> None:
    run, said = said_in(tmp_path)
    lines = [line for line in said if "validation errors" in line]
    assert len(lines) == 2
    for line, record in zip(lines, history(run), strict=True):
        assert line.startswith(f"epoch {record['epoch']:4d}, validation errors:  loose ")
        mae = record["valid"]["tight"]["force_mae_meV_per_A"]
        assert f", {mae:.1f} meV/A;" in line
        loss = f"loss {record['train_loss']:.4g}, {record['valid_loss']:.4g} in validation"
        assert f"{loss};  learning rate {record['learning_rate']:.2g}" in line
    assert re.search(r"learning rate [^ ]+, [0-9.]+ (s|min|h) left$", lines[0])
    assert "left" not in lines[1]


def test_lines_inside_a_long_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0.0)
    _, said = said_in(tmp_path)
    found = [
        re.match(r"epoch    1, step (\d+) of (\d+):  loss [0-9.e-]+;  learning", line)
        for line in said
    ]
    steps = [int(match[1]) for match in found if match]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.021, "0.021 s"), (59.0, "59 s"), (90.0, "1.5 min"), (7200.0, "2 h"), (2e5, "2.3 days")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
