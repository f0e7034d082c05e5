"""Training runs of two heads that take seconds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import yaml
from ase.io import read, write
from labelled import E0S, write_data
from rich.console import Console

from mhff.train.run import Run
from mhff.train.settings import Settings, read_settings

MODEL = {
    "distance_transform": "none",
    "n_channels": 8,
    "n_edge_channels": 4,
    "l_max": 2,
    "r_max": 3.0,
    "n_radial": 6,
    "radial_mlp": [16],
    "readout_width": 4,
}
N_CELLS = 24


def quiet() -> Console:
    return Console(file=io.StringIO())


def configure(folder: Path, **changes: dict[str, Any]) -> Settings:
    """Settings of a tiny run with two heads on data in `folder`."""
    for seed, head in enumerate(E0S):
        if not (folder / f"{head}.extxyz").exists():
            write_data(folder, head, N_CELLS, seed)
    content: dict[str, Any] = {
        "name": "tiny",
        "model": MODEL,
        "heads": {head: {"files": [f"{head}.extxyz"]} for head in E0S},
        "data": {"valid": 0.2, "test": 0.2},
        "optimiser": {"learning_rate": 0.02, "ema_decay": 0.9},
        "run": {"out": "run", "epochs": 3, "batch_size": 4, "dtype": "float64", "seed": 3},
    }
    for section, values in changes.items():
        content[section] = content.get(section, {}) | values
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return read_settings(folder / "config.yaml")


def history(run: Run) -> list[dict[str, Any]]:
    """The records of the epochs, without their times."""
    lines = (run.folder / "epochs.jsonl").read_text().splitlines()
    return [json.loads(line) | {"seconds": None} for line in lines]


def edit(folder: Path, head: str, change: Any) -> None:
    frames = read(folder / f"{head}.extxyz", ":")
    write(folder / f"{head}.extxyz", change(frames), format="extxyz")
