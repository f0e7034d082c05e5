"""A run that is killed at any moment continues to the same weights, bit by bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import configure

from mhff.modelfile import load

N_KILLS = 20
PROGRAM = Path(__file__).parents[1] / "killed_runs.py"
EVERY_STEP = {"checkpoint_minutes": 0}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load(folder / "tiny.mhff").network.state_dict())


def assert_equal(found: Any, expected: Any, place: str = "state") -> None:
    """Every number of two checkpoints is the same."""
    assert type(found) is type(expected), place
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), place
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), place
        for key, value in expected.items():
            assert_equal(found[key], value, f"{place}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for index, value in enumerate(expected):
            assert_equal(found[index], value, f"{place}.{index}")
    else:
        assert found == expected, place


@pytest.mark.slow
def test_killed_at_twenty_moments(tmp_path: Path) -> None:
    names = [f"killed-{index}" for index in range(N_KILLS)]
    for name in ("whole", *names):
        configure(tmp_path, name, run=EVERY_STEP)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), str(N_KILLS)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    whole = tmp_path / "whole"
    expected = torch.load(whole / "last.ckpt", weights_only=True)["state"]
    for name in names:
        folder = tmp_path / name
        found = torch.load(folder / "last.ckpt", weights_only=True)["state"]
        assert_equal(found, expected, name)
        assert_equal(weights(folder), weights(whole), name)
        lines = (folder / "epochs.jsonl").read_text().splitlines()
        logged = [json.loads(line) for line in lines]
        assert [line | {"seconds": None} for line in logged] == [
            line | {"seconds": None} for line in expected["history"]
        ]
        assert {path.name for path in folder.iterdir()} == {path.name for path in whole.iterdir()}
