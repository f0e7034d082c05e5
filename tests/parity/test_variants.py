"""Other forms of models give mace-torch's numbers: low-rank adapters, cuequivariance's layout, and
last layers that keep features which no energy depends on.
"""

from __future__ import annotations

from functools import lru_cache

import pytest
from compare import Deviation, measured
from test_parity import FORCE, NOTHING, RELATIVE, SEEN, SINGLE_PRECISION
from variants import VARIANTS, variant_references

from mhff.interop.mace.importer import Imported, import_model

NOTES = {
    "lora": "LoRA merged: adapters of rank 3 on ",
    "last layer": "features of l > 0 after the last layer left out",
    "cueq": "converted from cuequivariance's layout",
}
ROUNDED = [name for name in VARIANTS if name.endswith("float32")]
EXACT = [name for name in VARIANTS if name not in ROUNDED]


@lru_cache(maxsize=1)
def imported(name: str) -> Imported:
    return import_model(variant_references().file(name))


@lru_cache(maxsize=1)
def deviations(name: str) -> tuple[Deviation, ...]:
    numbers = variant_references().numbers(name)
    return measured(name, VARIANTS[name].case, numbers, imported(name).model, ("float64",))


@pytest.mark.parametrize("name", EXACT)
def test_float64(name: str) -> None:
    found = deviations(name)
    wrong = [
        d
        for d in found
        if not d.error <= RELATIVE * d.scale + NOTHING
        or not (d.quantity != "forces" or d.error <= FORCE)
    ]
    assert not wrong, wrong
    assert any(d.quantity == "forces" and d.magnitude > SEEN["forces"] for d in found)


@pytest.mark.parametrize("name", ROUNDED)
def test_files_in_float32(name: str) -> None:
    """Merged weights are rounded to float32; cuequivariance computes these in float32 always."""
    wrong = [
        d for d in deviations(name) if d.magnitude > SEEN[d.quantity]
        if not d.relative <= SINGLE_PRECISION
    ]  # fmt: skip
    assert not wrong, wrong


@pytest.mark.parametrize("name", VARIANTS)
def test_the_changes_are_recorded(name: str) -> None:
    form = VARIANTS[name].form
    recorded = imported(name).model.provenance["changed_at_import"]
    for part, note in NOTES.items():
        assert (note in recorded) == (part in form)
        assert any(note in sentence for sentence in imported(name).report) == (part in form)
