"""Slabs, relaxation and dynamics, of potentials whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.harmonic import SpringCalculator
from suite_settings import EPSILON, SIGMA, argon

from mhff_suite.held_out import without_composition
from mhff_suite.physics.dynamics import conserve, radial_distribution, sample, water_box
from mhff_suite.physics.relaxation import relaxed
from mhff_suite.physics.surfaces import J_PER_M2, RockSalt, above, slab, surface_energy
from mhff_suite.potential import CalculatorPotential
from mhff_suite.tasks.co_on_mgo import holes_outward
from mhff_suite.tasks.ice import n_whole
from mhff_suite.tasks.slabs import relative

SALT = RockSalt("MgO", 4.2, 0.0)


def test_a_slab_is_rock_salt_with_two_atoms_per_site() -> None:
    made = slab(SALT, (2, 2), 3)
    assert made.get_chemical_formula() == "Mg12O12"
    distances = made.get_all_distances(mic=True) + 10 * np.eye(len(made))
    np.testing.assert_allclose(distances.min(1), SALT.a / 2, atol=1e-9)
    nearest = distances.argmin(1)
    assert all(made.symbols[i] != made.symbols[j] for i, j in enumerate(nearest))


def test_the_surface_energy_of_springs_is_that_of_their_shift() -> None:
    made = slab(SALT, (1, 1), 5)
    springs = SpringCalculator(made.positions.copy(), 1.0)
    shift = 0.05
    crystal = RockSalt("MgO", 4.2, -2 * shift)
    found = surface_energy(CalculatorPotential(springs), crystal, 5)
    area = SALT.a**2 / 2
    assert found == pytest.approx(len(made) * shift / (2 * area) / J_PER_M2, rel=1e-6)


def test_a_molecule_stands_at_its_height() -> None:
    base = slab(SALT, (1, 1), 2)
    whole = above(base, Atoms("CO", [[0, 0, 0], [0, 0, 1.13]]), np.array([0.5, 0.7]), 2.0)
    top = base.positions[:, 2].max()
    np.testing.assert_allclose(whole.positions[-2], [0.5, 0.7, top + 2.0])


def test_a_pair_of_argon_relaxes_to_its_minimum() -> None:
    pair = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.6]])
    found = relaxed(CalculatorPotential(argon()), pair)
    assert found is not None
    assert found.get_distance(0, 1) == pytest.approx(2 ** (1 / 6) * SIGMA, abs=0.2)
    assert found.get_potential_energy() == pytest.approx(-EPSILON, rel=0.05)


def test_argon_conserves_its_energy_and_long_steps_do_not() -> None:
    crystal = bulk("Ar", "fcc", a=5.3, cubic=True).repeat(2)
    potential = CalculatorPotential(argon())
    good = conserve(potential, crystal, 5.0, 60, 20.0)
    bad = conserve(potential, crystal, 40.0, 60, 20.0)
    assert good.fluctuation < 0.01
    assert abs(good.drift) < 0.05
    assert bad.fluctuation > 10 * good.fluctuation


def test_springs_keep_the_temperature_of_the_thermostat() -> None:
    crystal = bulk("Ar", "fcc", a=5.3, cubic=True).repeat(2)
    springs = SpringCalculator(crystal.positions.copy(), 5.0)
    found = sample(CalculatorPotential(springs), crystal, 200, 600, 20)
    off = np.concatenate([(atoms.positions - crystal.positions).ravel() for atoms in found])
    expected = 8.617e-5 * 300 / 5.0  # <x^2> = kT / k
    assert (off**2).mean() == pytest.approx(expected, rel=0.3)


def test_distances_in_a_crystal_and_in_a_gas() -> None:
    crystal = bulk("Ar", "fcc", a=5.3, cubic=True).repeat(3)
    distances, density = radial_distribution([crystal], "Ar")
    first = distances[density > 0][0]
    assert first == pytest.approx(5.3 / np.sqrt(2), abs=distances[1] - distances[0])
    rng = np.random.default_rng(0)
    gas = [Atoms("Ar200", rng.uniform(0, 20, (200, 3)), cell=[20] * 3, pbc=True) for _ in range(9)]
    _, flat = radial_distribution(gas, "Ar", n_bins=20)
    np.testing.assert_allclose(flat[5:], 1.0, atol=0.1)


def test_water_is_whole_in_its_box_and_a_stretched_one_is_not() -> None:
    box = water_box(2)
    assert n_whole(box) == 8
    density = 8 * 18.015 / box.get_volume() / 0.60221
    assert density == pytest.approx(1.0, abs=0.01)
    box.positions[1] += [0.0, 0.0, 1.5]
    assert n_whole(box) == 7


def test_energies_are_compared_within_a_composition() -> None:
    atoms = [Atoms("H2"), Atoms("H2"), Atoms("O2")]
    np.testing.assert_allclose(relative(atoms, np.array([1.0, 3.0, 100.0])), [-1, 1, 0])
    molecules = [Atoms("H2"), Atoms("O2"), Atoms("H2O"), Atoms("H2O2")]
    of_elements = np.array([2.0, 20.0, 12.0, 22.0])  # 1 for H, 10 for O
    np.testing.assert_allclose(without_composition(molecules, of_elements), 0, atol=1e-10)


def test_a_second_minimum_on_the_way_out_is_a_hole() -> None:
    x = np.linspace(1.7, 7, 200)
    sound = 4 * ((2 / x) ** 12 - (2 / x) ** 6)
    assert holes_outward(sound) == pytest.approx(0, abs=1e-12)
    assert holes_outward(sound - 0.3 * np.exp(-((x - 5) ** 2))) > 0.1
