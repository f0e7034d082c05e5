"""Weights that structures bring along, in memory and in their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.io import write

from mhff.data.keys import DEFAULT_SETTING, Keys
from mhff.data.notes import weighted
from mhff.data.reading import read_structures
from mhff.data.stored import read_stored
from mhff.errors import MHFFError


def save(folder: Path, **info: Any) -> Path:
    frames = [Atoms("H", info={"REF_energy": 1.0}), Atoms("H", info={"REF_energy": 1.0, **info})]
    write(folder / "a.extxyz", frames, format="extxyz")
    return folder / "a.extxyz"


def test_factors_multiply(tmp_path: Path) -> None:
    path = save(tmp_path, config_weight=2.0, config_energy_weight=0.0, config_stress_weight=5)
    structures = read_structures(path)
    assert [item.weights for item in structures] == [(1, 1, 1), (0, 2, 10)]
    stored = read_stored(path, Keys(), DEFAULT_SETTING, 0)
    assert [item.weights for item in stored] == [(1, 1, 1), (0, 2, 10)]
    assert weighted(structures) == [
        "1 structures have weights of their own (config_weight, config_energy_weight, "
        "config_forces_weight, config_stress_weight)"
    ]
    assert weighted(structures[:1]) == []


@pytest.mark.parametrize("value", [-1.0, "heavy", float("nan"), float("inf")])
def test_weights_that_are_none(tmp_path: Path, value: Any) -> None:
    with pytest.raises(
        MHFFError, match=r"expected a weight of at least 0 under 'config_weight' in structure 2 of"
    ):
        read_structures(save(tmp_path, config_weight=value))
