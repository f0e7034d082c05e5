"""The bundled model: it is what its committed error table says, and small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mhff.data.reading import read_structures
from mhff.data.split import split
from mhff.evaluate.errors import Comparison, by_head_and_type, errors
from mhff.evaluate.evaluation import evaluate_structures
from mhff.evaluator import EagerEvaluator
from mhff.modelfile import load, model_path
from mhff.options import Precision
from mhff.train.fingerprint import differences
from mhff.train.run import Run
from mhff.train.settings import read_settings

ROOT = Path(__file__).parents[3]
MAX_FILE_SIZE = 3_000_000
"""Bytes."""
MAX_FORCE_ERROR = 85.0
"""meV/A, on held-out molecules."""
SINGLE_PRECISION_ERRORS = 1e-4
"""The table comes from a float32 evaluation, in batches of other structures (relative)."""
SINGLE_PRECISION_ENERGY = 1e-3
"""meV per atom: rounding of total energies of thousands of eV, in error means of few structures."""
TABLE = (ROOT / "examples/mini/README.md").read_text()
HEADS = ("materials", "surfaces", "molecules")


def held_out(head: str) -> list[Comparison]:
    keys = read_settings(ROOT / "examples/mini/config.yaml").heads[head].keys
    structures = split(read_structures(ROOT / "data" / f"{head}.extxyz", keys))["test"]
    return evaluate_structures(
        EagerEvaluator(load("mini"), precision=Precision.FLOAT32), structures, head
    )


@pytest.mark.parametrize("head", HEADS)
def test_the_committed_error_table(head: str) -> None:
    found = by_head_and_type(held_out(head))[head]
    committed = json.loads((ROOT / "examples/mini/report.json").read_text())["errors"]["test"][head]
    assert_same_errors(found.pop("config_types"), committed.pop("config_types"))
    assert_same_errors({head: found}, {head: committed})
    assert load("mini").provenance["errors"]["test"][head] == committed
    row = next(line for line in TABLE.splitlines() if line.startswith(f"| {head} |"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        head,
        str(committed["structures"]),
        f"{committed['energy_mae_meV_per_atom']:.1f}",
        f"{committed['energy_rmse_meV_per_atom']:.1f}",
        f"{committed['force_mae_meV_per_A']:.1f}",
        f"{committed['force_rmse_meV_per_A']:.1f}",
    ]


def assert_same_errors(
    found: dict[str, dict[str, Any]], committed: dict[str, dict[str, Any]]
) -> None:
    assert found.keys() == committed.keys()
    for group, values in committed.items():
        assert found[group].keys() == values.keys()
        for key, value in values.items():
            expected = value and pytest.approx(
                value, rel=SINGLE_PRECISION_ERRORS, abs=SINGLE_PRECISION_ENERGY
            )
            assert found[group][key] == expected, (group, key)


def test_the_bar_for_molecules() -> None:
    force_error = errors(held_out("molecules")).forces
    assert force_error is not None
    assert force_error.mae <= MAX_FORCE_ERROR


def test_heads_elements_and_size() -> None:
    model = load("mini")
    assert set(model.heads.names) == set(HEADS)
    assert model.elements == ("H", "C", "N", "O", "Mg")
    assert model.heads[model.heads.index("molecules")].elements == ("H", "C", "N", "O"), (
        "no molecule has Mg, so using it warns"
    )
    assert all(
        head.level_of_theory != "unknown" and head.licence != "unknown" for head in model.heads
    )
    contain = {head.name for head in model.heads if head.dispersion}
    assert contain == {"molecules"}, "wB97M-D3(BJ) has dispersion; PBE and RPBE lack it"
    assert all(head.dispersion is not None for head in model.heads)
    assert model_path("mini").stat().st_size <= MAX_FILE_SIZE


@pytest.mark.slow
def test_the_committed_configuration_made_it() -> None:
    """The repository's settings and data are those of the model, so that it can be reproduced."""
    now = Run(read_settings(ROOT / "examples/mini/config.yaml")).fingerprint()
    stored = load("mini").provenance["settings"]
    assert differences(stored, now) == []
