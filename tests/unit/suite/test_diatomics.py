"""Curves of two atoms: faults are found where they are, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from suite_settings import argon, setting_around, values_of

from mhff_suite.physics.diatomics import Curve
from mhff_suite.tasks.diatomics import run

DISTANCES = np.linspace(0.8, 6.0, 60)
WELL = 4 * ((2 / DISTANCES) ** 12 - (2 / DISTANCES) ** 6)


def curve(energies: np.ndarray) -> Curve:
    return Curve(("H", "H"), DISTANCES, energies, unit=2.0)


def test_a_sound_well_has_no_fault() -> None:
    found = curve(WELL)
    assert (found.is_repulsive, found.n_minima, found.n_jumps) == (True, 1, 0)


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (np.where(DISTANCES < 1.0, -1e7, 0.0), (False, 2, 1)),
        (0.3 * np.exp(-((DISTANCES - 3.5) ** 2) / 0.02), (True, 2, 0)),
        (np.where(DISTANCES > 4.0, 2.0, 0.0), (True, 1, 1)),
    ],
    ids=["attraction", "second minimum", "jump"],
)
def test_each_fault_is_found(change: np.ndarray, faults: tuple[bool, int, int]) -> None:
    found = curve(WELL + change)
    assert (found.is_repulsive, found.n_minima, found.n_jumps) == faults


def test_argon_passes() -> None:
    found = run(setting_around(argon(), "Ar"))
    assert all(value.passed for value in found.values)
    assert values_of(found)["pairs with several minima"] == 0
