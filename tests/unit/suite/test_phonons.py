"""Phonons: of a harmonic crystal, and of MgO from phonopy's force sets alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.harmonic import SpringCalculator
from suite_settings import setting_around

from mhff_suite.data import PHONOPY, DataFolders
from mhff_suite.physics.hessian import hessian
from mhff_suite.physics.phonons import forces_of, load, solve
from mhff_suite.potential import CalculatorPotential
from mhff_suite.protocol import LeftOutError
from mhff_suite.tasks.phonons import run

SPRING = 3.0
"""eV/A^2."""
THZ_PER_ROOT = 15.633302
"""Frequency of sqrt(eV/A^2/amu) in THz, as phonopy prints it."""
MGO_OPTICAL = 11.8
"""Transverse optical frequency of MgO at the zone centre, THz (neutrons: about 12)."""


def test_atoms_on_springs_have_the_hessian_of_their_springs() -> None:
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
    potential = CalculatorPotential(SpringCalculator(atoms.positions.copy(), SPRING))
    found = hessian(potential, atoms)
    np.testing.assert_allclose(found, SPRING * np.eye(3 * len(atoms)), atol=1e-8)


def test_atoms_on_springs_have_one_frequency() -> None:
    import phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        scaled_positions=atoms.get_scaled_positions(),
        cell=atoms.cell[:],
    )
    phonon = phonopy.Phonopy(cell, np.eye(3, dtype=int) * 2, primitive_matrix="F", log_level=0)
    phonon.generate_displacements(distance=0.01)
    supercell = phonon.supercell
    perfect = Atoms(supercell.symbols, supercell.positions, cell=supercell.cell, pbc=True)
    springs = SpringCalculator(perfect.positions.copy(), SPRING)
    forces = forces_of(CalculatorPotential(springs), phonon)
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.run_mesh((3, 3, 3))
    frequency = THZ_PER_ROOT * np.sqrt(SPRING / perfect.get_masses()[0])
    np.testing.assert_allclose(phonon.mesh.frequencies, frequency, rtol=1e-3)


def test_without_data_the_task_says_how_to_get_them() -> None:
    with pytest.raises(LeftOutError, match="needs the force sets of phonopy's source distribution"):
        run(setting_around(SpringCalculator(np.zeros((1, 3)), 1.0), "Mg", "O"))


def mgo_folder(folders: tuple[Path, ...]) -> Path:
    found = DataFolders(folders).find(PHONOPY)
    if found is None:
        pytest.skip("no source distribution of phonopy on this machine")
    return found


def test_mgo_has_the_phonons_of_its_force_sets(suite_data: tuple[Path, ...]) -> None:
    folder = mgo_folder(suite_data)
    phonon = load(folder)
    found = solve(phonon, np.array(phonon.forces))
    assert found.mesh.shape[1] == 6
    assert found.mesh.min() > -0.05
    centre = found.bands[0]
    np.testing.assert_allclose(centre[:3], 0.0, atol=1e-3)
    assert centre[3] == pytest.approx(MGO_OPTICAL, abs=0.8)
    # Dulong and Petit: 3 R for each of two atoms
    assert found.heat_capacities[-1] == pytest.approx(6 * 8.314, rel=0.12)
    assert found.heat_capacities[1] == pytest.approx(37.2, abs=2.5)  # experiment, 300 K


def test_forces_of_the_reference_itself_have_no_error(suite_data: tuple[Path, ...]) -> None:
    phonon = load(mgo_folder(suite_data))
    forces = np.array(phonon.forces)
    first = solve(phonon, forces)
    again = solve(load(mgo_folder(suite_data)), forces)
    np.testing.assert_array_equal(first.mesh, again.mesh)
