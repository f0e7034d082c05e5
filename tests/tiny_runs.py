"""Configurations of tiny training runs in plain torch, each of about a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from labelled import E0S, write_data

CONTENT: dict[str, Any] = {
    "name": "tiny",
    "model": {
        "interaction": "residual",
        "apply_cutoff": True,
        "n_channels": 4,
        "n_edge_channels": 4,
        "l_max": 1,
        "correlation": 2,
        "r_max": 3.0,
        "radial_mlp": [4],
    },
    "heads": {head: {"files": [f"{head}.extxyz"]} for head in E0S},
    "data": {"valid": 0.3},
    "run": {"epochs": 3, "batch_size": 6, "dtype": "float64", "kernels": False},
}
N_CELLS = 14
"""Structures of each head."""


def configure(folder: Path, out: str = "out", **changes: dict[str, Any]) -> Path:
    """A configuration file; `changes` are keys by section.

    The last batch of an epoch has a single structure.
    """
    for seed, head in enumerate(E0S):
        if not (folder / f"{head}.extxyz").exists():
            write_data(folder, head, N_CELLS, seed)
    content = {**CONTENT, "run": {**CONTENT["run"], "out": out}}
    for section, values in changes.items():
        content[section] = {**content.get(section, {}), **values}
    path = folder / f"{out}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
