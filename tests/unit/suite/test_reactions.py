"""Reaction energies, barriers and atomisation energies."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.data.g2_1 import get_atomization_energy
from ase.data.g2_1 import molecule_names as first_half
from suite_settings import EPSILON, SIGMA, argon, assert_balanced, setting_around, values_of

from mhff_suite.physics.interaction import KCAL_PER_MOL
from mhff_suite.potential import CalculatorPotential
from mhff_suite.reactions import Reaction, outcome, reaction_energies
from mhff_suite.tasks import dbh24, g2

PUBLISHED = {"H2O": 232.6, "CH4": 420.1, "N2": 228.5, "CO2": 389.7, "C6H6": 1367.8, "NH3": 297.9}
"""Experimental atomisation energies without zero-point vibration, kcal/mol (A. Karton et al.,
J. Chem. Phys. 125, 144108, 2006, and earlier collections)."""


def pair(distance: float) -> Atoms:
    return Atoms("Ar2", [[0, 0, 0], [0, 0, distance]])


def test_a_reaction_of_argon_has_the_energy_of_its_bond() -> None:
    bound = pair(2 ** (1 / 6) * SIGMA)
    reaction = Reaction("2 Ar = Ar2", (Atoms("Ar"), bound), (-2, 1), 0.0)
    (found,) = reaction_energies(CalculatorPotential(argon()), [reaction])
    assert found == pytest.approx(-EPSILON / KCAL_PER_MOL, rel=1e-6)


def test_ions_are_left_out_of_models_without_charge() -> None:
    ion = Atoms("Ar", info={"charge": 1})
    reactions = [
        Reaction("neutral", (Atoms("Ar"),), (1,), 0.5),
        Reaction("ion", (ion,), (1,), 0.0),
    ]
    found = outcome(setting_around(argon(), "Ar"), "x", reactions)
    assert values_of(found) == {"barrier MAE": 0.5}
    assert found.notes[0] == "1 of 2 reactions are left out: elements or ions."


def test_atomisation_energies_follow_from_enthalpies() -> None:
    for name in first_half:
        assert g2.atomisation_energy(name) == pytest.approx(get_atomization_energy(name), abs=1e-6)
    for name, expected in PUBLISHED.items():
        assert g2.atomisation_energy(name) == pytest.approx(expected, abs=1.0), name


def test_errors_of_elements_are_taken_out_by_the_fit() -> None:
    molecules = [Atoms("H2"), Atoms("H2O"), Atoms("O2"), Atoms("H2O2")]
    of_elements = np.array([2 * 3.0, 2 * 3.0 - 5.0, -10.0, 2 * 3.0 - 10.0])
    left = g2.without_element_errors(molecules, of_elements)
    np.testing.assert_allclose(left, 0.0, atol=1e-10)


def test_dbh24_conserves_atoms_charge_and_has_the_published_heights() -> None:
    reactions = dbh24.reactions()
    assert len(reactions) == 24
    for each in reactions:
        assert_balanced(each)
    heights = {each.name: each.reference for each in reactions}
    assert heights["10 forward"] == pytest.approx(6.7, abs=0.5)  # OH + CH4: NHTBH and HTBH agree
    assert heights["9 forward"] == pytest.approx(48.1, abs=0.5)  # HCN to HNC


def test_dbh24_agrees_with_the_barriers_that_psi4_ships() -> None:
    shipped = {
        "1 forward": 18.14,
        "1 backward": 83.22,
        "2 forward": 18.00,
        "9 forward": 48.16,
        "9 backward": 33.11,
        "10 forward": 6.7,
        "10 backward": 19.6,
        "11 backward": 13.1,
        "12 forward": 3.6,
    }
    heights = {each.name: each.reference for each in dbh24.reactions()}
    for name, expected in shipped.items():
        assert heights[name] == pytest.approx(expected, abs=1.3), name
