"""Errors against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mhff.evaluate.errors import Comparison, by_head_and_type, errors

FORCES = (np.zeros((2, 3)), np.array([[0.1, 0, 0], [0, 0, -0.5]]))
STRESS = (np.zeros((3, 3)), np.diag([0.01, 0.02, 0.0]))
CELL = Comparison("a", "x", np.array([0, 1]), (-4.0, -3.9), FORCES, STRESS)
BARE = Comparison("a", "y", np.zeros(5, dtype=int), (1.0, 0.5), forces=None, stress=None)
FORCES_ONLY = Comparison("b", "x", np.array([0, 1]), None, FORCES, stress=None)


def test_errors_by_hand() -> None:
    result = errors([CELL, BARE])
    energy = np.array([0.1 / 2, 0.5 / 5])
    assert result.energy.mae == pytest.approx(1e3 * energy.mean())
    assert result.energy.rmse == pytest.approx(1e3 * np.sqrt((energy**2).mean()))
    assert result.forces.mae == pytest.approx(1e3 * 0.6 / 6)
    assert result.forces.rmse == pytest.approx(1e3 * np.sqrt((0.1**2 + 0.5**2) / 6))
    assert result.stress.mae == pytest.approx(1e3 * 0.03 / 6)
    assert result.stress.rmse == pytest.approx(1e3 * np.sqrt((0.01**2 + 0.02**2) / 6))
    assert (result.structures, result.atoms) == (2, 7)
    assert (result.energy.count, result.forces.count, result.stress.count) == (2, 6, 1)
    assert errors([BARE]).forces is None


def test_structures_without_energies() -> None:
    assert errors([FORCES_ONLY]).energy is None
    together = errors([CELL, FORCES_ONLY])
    assert together.structures == 2
    assert together.energy.count == 1
    assert together.energy.mae == pytest.approx(1e3 * 0.1 / 2)


def test_errors_as_json() -> None:
    content = by_head_and_type([CELL, BARE, FORCES_ONLY])
    assert content["a"]["structures"] == 2
    assert content["a"]["config_types"]["y"]["energy_mae_meV_per_atom"] == pytest.approx(100.0)
    assert content["a"]["config_types"]["y"]["force_mae_meV_per_A"] is None
    assert content["a"]["config_types"]["y"]["force_components"] == 0
    assert content["b"]["energy_rmse_meV_per_atom"] is None
