"""Equations of state whose parameters are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones
from suite_settings import EPSILON, SIGMA

from mhff_suite.physics.equation_of_state import equation_of_state, fit
from mhff_suite.potential import CalculatorPotential
from mhff_suite.tasks.dcdft import delta_of, elements

TOLERANCE_OF_FIT = 1e-6
NEAREST_IN_FCC = 1.0902
"""Nearest distance in the fcc crystal of Lennard-Jones atoms, sigma, with all neighbours."""
BULK_MODULUS_OF_FCC = 75.19
"""Its bulk modulus, epsilon / sigma^3 (N. W. Ashcroft, N. D. Mermin, Solid State Physics)."""


def birch_murnaghan(
    volumes: np.ndarray, volume: float, modulus: float, derivative: float
) -> np.ndarray:
    ratio = (volume / volumes) ** (2 / 3)
    strain = ratio - 1
    return 9 * volume * modulus / 16 * (strain**3 * derivative + strain**2 * (6 - 4 * ratio))


def test_a_fit_gives_the_parameters_of_the_equation_back() -> None:
    volumes = np.linspace(10, 13, 7)
    found = fit(volumes, birch_murnaghan(volumes, 11.5, 0.7, 4.3) - 5.0)
    assert found is not None
    assert found.volume == pytest.approx(11.5, rel=TOLERANCE_OF_FIT)
    assert found.bulk_modulus == pytest.approx(0.7, rel=TOLERANCE_OF_FIT)
    assert found.derivative == pytest.approx(4.3, rel=TOLERANCE_OF_FIT)


def test_a_curve_without_a_minimum_has_no_fit() -> None:
    volumes = np.linspace(10, 13, 7)
    assert fit(volumes, -volumes) is None


def test_argon_has_the_lattice_and_bulk_modulus_of_lennard_jones() -> None:
    far = LennardJones(sigma=SIGMA, epsilon=EPSILON, rc=7 * SIGMA, smooth=False)
    start = bulk("Ar", "fcc", a=1.02 * NEAREST_IN_FCC * SIGMA * np.sqrt(2))
    found = equation_of_state(CalculatorPotential(far), start)
    assert found is not None
    volume = (NEAREST_IN_FCC * SIGMA) ** 3 / np.sqrt(2)
    assert found.volume == pytest.approx(volume, rel=3e-3)
    modulus = BULK_MODULUS_OF_FCC * EPSILON / SIGMA**3
    assert found.bulk_modulus == pytest.approx(modulus, rel=1e-2)


def test_delta_of_an_equation_with_itself_is_zero_and_grows_with_the_volume() -> None:
    silicon = next(each.expected for each in elements() if each.symbol == "Si")
    assert delta_of(silicon, silicon) == 0
    moved = type(silicon)(silicon.volume * 1.01, silicon.bulk_modulus, silicon.derivative)
    # a shift of 1 % about the middle of a parabola: B / 2 / V0 * 2 * dV * <x^2>^(1/2)
    width = 0.12 * silicon.volume / np.sqrt(12)
    expected = 1e3 * silicon.bulk_modulus / silicon.volume * 0.01 * silicon.volume * width
    assert delta_of(silicon, moved) == pytest.approx(expected, rel=0.1)


PUBLISHED = {
    "Al": (16.480, 78.1),
    "Cu": (11.957, 141.3),
    "Si": (20.453, 88.5),
    "Fe": (11.344, 197.7),
    "O": (18.559, 51.4),
}
"""Volume, A^3, and bulk modulus, GPa, of WIEN2k in Lejaeghere et al. (2014)."""


@pytest.mark.parametrize("symbol", PUBLISHED)
def test_references_of_the_elements_are_those_published(symbol: str) -> None:
    expected = next(each.expected for each in elements() if each.symbol == symbol)
    assert expected.volume == pytest.approx(PUBLISHED[symbol][0], rel=2e-3)
    assert expected.bulk_modulus * 160.21766 == pytest.approx(PUBLISHED[symbol][1], rel=2e-2)
