"""Fine-tuning runs on tiny random start models."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from labelled import E0S, write_data
from mace_record import mace_record
from models import random_model
from rich.console import Console

from mhff.heads import Head, Heads
from mhff.interop.mace import importer
from mhff.modelfile import Model
from mhff.train.run import Run
from mhff.train.settings import Settings, read_settings

OLD = ("loose", "other")
SMALL: dict[str, Any] = {
    "elements": ("H", "O"),
    "heads": OLD,
    "n_channels": 4,
    "n_edge_channels": 4,
    "l_max": 2,
    "r_max": 3.0,
}
N_CELLS = 16
SIX = ("matpes_r2scan", "mp_pbe_refit_add", "spice_wB97M", "oc20_usemppbe", "omol", "omat_pbe")
"""The heads of mace-mh-1."""


def save_start(folder: Path, **changes: Any) -> Model:
    """A random start model with the level of theory of head `loose` and others."""
    made = random_model("mh1", **(SMALL | changes))
    reference = made.network.reference_energies
    reference.E0s[:] = torch.randn(reference.E0s.shape, dtype=torch.float64) * 5 - 10
    heads = [
        Head(name=name, level_of_theory=f"theory {name}", e0s_kind="isolated", elements=("O",))
        for name in made.heads.names
    ]
    model = Model(made.network.double(), Heads(heads))
    model.save(folder / "start.mhff")
    return model


def import_six_heads(folder: Path, **changes: Any) -> Model:
    """A model of mace-torch, small, of the architecture and with the heads of mace-mh-1."""
    original = random_model("mh1", **(SMALL | {"heads": SIX} | changes))
    original.network.double()
    (folder / "mh.model").write_bytes(b"PK\x03\x04: the record is read instead")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importer, "read_model", lambda content, kind: mace_record(original))
        imported = importer.import_model(folder / "mh.model").model
    imported.save(folder / "start.mhff")
    return imported


def configure(folder: Path, start: dict[str, Any] | None = None, **changes: Any) -> Settings:
    """Settings that fine-tune a random model to a new head `tight` with labelled data."""
    if not (folder / "start.mhff").exists():
        save_start(folder, **(start or {}))
    for seed, head in enumerate(E0S):
        if not (folder / f"{head}.extxyz").exists():
            write_data(folder, head, N_CELLS, seed)
    content: dict[str, Any] = {
        "name": "tuned",
        "start_from": "start.mhff",
        "heads": {"tight": {"files": ["tight.extxyz"], "start_from": "loose"}},
        "data": {"valid": 0.2, "test": 0.2},
        "optimiser": {"learning_rate": 0.01, "ema_decay": 0.9},
        "run": {"out": "run", "epochs": 2, "batch_size": 4, "dtype": "float64", "kernels": False},
    }
    for section, values in changes.items():
        if isinstance(values, dict):
            merged = content.get(section, {}) | values
            values = {key: value for key, value in merged.items() if value is not None}
        content[section] = values
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return read_settings(folder / "config.yaml")


def train(settings: Settings) -> tuple[Run, str]:
    """A run from start to end, and what it says."""
    run, screen = Run(settings), io.StringIO()
    run.train(Console(file=screen, width=1000))
    return run, screen.getvalue()


REPLAY = {"loose": {"files": ["loose.extxyz"]}}
