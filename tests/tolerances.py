"""Tolerances with names: choose the loosest one that still catches what the test is for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Tolerance(NamedTuple):
    """Largest allowed |actual - expected| = absolute + relative * |expected|."""

    relative: float
    absolute: float


SAME_NUMBERS = Tolerance(1e-13, 1e-13)
"""float64, same operations; only the order of a sum may differ."""
ROUNDING = Tolerance(1e-10, 1e-10)
"""float64, different operations with the same exact result, eV and eV/A.

Total energies are hundreds of eV.
"""
OF_TABLES = Tolerance(1e-9, 1e-9)
"""float64 programs with tables of radial functions, eV and eV/A: what they promise."""
FINITE_DIFFERENCES = Tolerance(1e-7, 1e-8)
"""float64 derivatives against five-point differences with steps of 2e-4 (A, or strain)."""
SINGLE_PRECISION = Tolerance(2e-5, 2e-5)
"""float32 against float64, relative to the largest value; see `assert_close_to_scale`."""
ENGINE_ENERGY = 1e-9
"""eV per atom, between engines, float64."""
ENGINE_FORCE = 1e-8
"""eV/A, between engines, float64."""
NVE_DRIFT = 1e-5
"""eV per atom over 2 ps."""


def assert_close(actual: Any, expected: Any, tolerance: Tolerance) -> None:
    """Element by element."""
    np.testing.assert_allclose(
        np.asarray(actual),
        np.asarray(expected),
        rtol=tolerance.relative,
        atol=tolerance.absolute,
        strict=False,
    )


def assert_close_to_scale(actual: Any, expected: Any, tolerance: Tolerance) -> None:
    """All elements within `relative` times the largest expected one."""
    expected = np.asarray(expected)
    scale = float(np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(
        np.asarray(actual), expected, rtol=0, atol=tolerance.absolute + tolerance.relative * scale
    )
