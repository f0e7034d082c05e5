"""Mean absolute errors against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mhff.evaluate.errors import Comparison, errors


def test_errors_by_hand() -> None:
    forces = (np.zeros((2, 3)), np.array([[0.1, 0, 0], [0, 0, -0.5]]))
    stress = (np.zeros((3, 3)), np.diag([0.01, 0.02, 0.0]))
    one = Comparison("a", "x", np.array([0, 1]), energy=(-4.0, -3.9), forces=forces, stress=stress)
    other = Comparison(
        "a", "x", np.zeros(5, dtype=int), energy=(1.0, 0.5), forces=None, stress=None
    )
    result = errors([one, other])
    assert result.energy == pytest.approx(1e3 * (0.1 / 2 + 0.5 / 5) / 2)
    assert result.forces == pytest.approx(1e3 * 0.6 / 6)
    assert result.stress == pytest.approx(1e3 * 0.03 / 6)
    assert (result.structures, result.atoms) == (2, 7)
    assert (result.force_components, result.stress_structures) == (6, 1)
    assert errors([other]).forces is None
