"""Interaction energies: of a known potential, and references from a second source."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from suite_settings import EPSILON, SIGMA, argon

from mhff_suite.physics.interaction import KCAL_PER_MOL, interaction_energies, split
from mhff_suite.potential import CalculatorPotential
from mhff_suite.tasks.s22 import complexes

MINIMUM = 2 ** (1 / 6) * SIGMA
REVISED = (
    *(-3.15, -5.07, -18.81, -16.11, -20.69, -17.00, -16.74, -0.53, -1.48, -1.45, -2.62),
    *(-4.20, -9.74, -4.59, -11.66, -1.50, -3.29, -2.32, -4.55, -2.71, -5.62, -7.09),
)
"""S22 of Takatani et al. (2010) as psi4 ships it (`BIND_S22A`), kcal/mol."""


def test_two_atoms_of_argon_bind_with_epsilon() -> None:
    pair = split("Ar2", Atoms("Ar2", [[0, 0, 0], [0, 0, MINIMUM]]), 1, 0.0)
    (found,) = interaction_energies(CalculatorPotential(argon()), [pair])
    assert found * KCAL_PER_MOL == pytest.approx(-EPSILON, rel=1e-6)


def test_s22_of_ase_has_the_energies_of_psi4() -> None:
    found = sorted(each.reference for each in complexes())
    np.testing.assert_allclose(found, sorted(REVISED), atol=0.06)


def test_s22_molecules_are_whole() -> None:
    for each in complexes():
        lengths = [len(part) for part in each.parts]
        assert sum(lengths) == len(each.whole)
        first, second = (part.positions for part in each.parts)
        between = np.linalg.norm(first[:, None] - second[None], axis=2).min()
        assert between > 1.5, each.name
