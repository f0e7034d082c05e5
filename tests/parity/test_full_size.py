"""A file as large as mace-mh-1 is imported quickly, in little memory, and exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from environment import HERE
from full_size import HEADS, PARAMETERS, full_size
from test_parity import FORCE, RELATIVE, SINGLE_PRECISION

SECONDS = 60
"""To import the file and save it."""
GIGABYTES = 4
"""Of memory, then."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What import_full_size.py leaves; a process of its own, so that its memory can be measured."""
    made = tmp_path_factory.mktemp("full_size")
    command = [sys.executable, HERE / "import_full_size.py", full_size() / "mace-mh-1.model", made]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


def test_resources(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    assert report["parameters"] == PARAMETERS
    assert report["seconds"] < SECONDS
    assert report["gigabytes"] < GIGABYTES


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", RELATIVE), ("float32", SINGLE_PRECISION)]
)
def test_numbers(folder: Path, head: str, dtype: str, tolerance: float) -> None:
    ours, theirs = np.load(folder / f"{dtype}-{head}.npz"), np.load(full_size() / f"{head}.npz")
    energies, forces, stress = (
        theirs[f"float64/magnesia/{name}"][0] for name in ("node_energy", "forces", "stress")
    )
    pull = float(theirs["float64/magnesia/pull"][0])
    scale = pull if dtype == "float32" else np.abs(forces).max()
    assert np.abs(energies).max() > 1
    assert np.abs(forces).max() > 0.1
    assert np.abs(ours["energies"] - energies).max() < tolerance * np.abs(energies).max()
    assert np.abs(ours["energies"].sum() - energies.sum()) < tolerance * np.abs(energies).sum()
    assert np.abs(ours["forces"] - forces).max() < tolerance * scale
    assert np.abs(ours["stress"] - stress).max() < tolerance * np.abs(stress).max()
    if dtype == "float64":
        assert np.abs(ours["forces"] - forces).max() < FORCE
