"""Systems with mhff that are copied, saved, and read in another process."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from openmm_runs import MIX, add, assert_same, read, reduced, run_fresh, start
from structures import triclinic, waters
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

from mhff_openmm.systems import system_of


def test_copies_and_cv_forces(model_file, ase_results):
    atoms = waters(3)
    system, topology = system_of(atoms)
    force = add(system, topology, model_file, head="molecules", dtype="float64")
    expected = ase_results(atoms, "molecules")
    assert_same(read(start(copy.deepcopy(system), atoms.positions)), expected)
    scaled, _ = system_of(atoms)
    cv = openmm.CustomCVForce("scale * mhff")
    cv.addGlobalParameter("scale", 0.5)
    cv.addCollectiveVariable("mhff", copy.deepcopy(force))
    scaled.addForce(cv)
    context = start(scaled, atoms.positions)
    assert_same(read(context), (0.5 * expected[0], 0.5 * expected[1]))
    context.setParameter("mhff_head_molecules", 0.0)
    context.setParameter("mhff_head_surfaces", 1.0)
    energy, forces = ase_results(atoms, "surfaces")
    assert_same(read(context), (0.5 * energy, 0.5 * forces))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:head 'molecules' was not trained")
def test_saved_system_gives_the_same_in_a_fresh_process(model_file, tmp_path):
    atoms = reduced(triclinic())
    system, topology = system_of(atoms)
    force = add(
        system,
        topology,
        model_file,
        head=MIX,
        dtype="float64",
        atoms=range(1, len(atoms)),
        skin=0.5,
    )
    assert (
        len(openmm.XmlSerializer.serialize(force)) < 4000
    )  # what is saved names the model and does not hold it
    expected = start(system, atoms.positions).getState(energy=True, forces=True)
    result = run_fresh(system, atoms.positions, tmp_path)
    assert result.returncode == 0, result.stderr
    found = np.load(tmp_path / "results.npz")
    assert abs(found["energy"] - expected.getPotentialEnergy()._value) <= ENGINE_ENERGY
    assert np.abs(found["forces"] - expected.getForces(asNumpy=True)._value).max() <= ENGINE_FORCE


@pytest.mark.slow
def test_saved_system_refuses_another_model_in_the_old_place(model_file, tmp_path):
    moved = tmp_path / "moved.mhff"
    moved.write_bytes(model_file.read_bytes())
    atoms = waters(1)
    system, topology = system_of(atoms)
    add(system, topology, moved, head="molecules")
    moved.write_bytes(b"other")
    result = run_fresh(system, atoms.positions, tmp_path)
    assert result.returncode == 1
    assert (
        f"'{moved}' has changed since this OpenMM System was made with it; restore the file"
        in result.stderr
    )
    moved.unlink()
    assert f"no file '{moved}'" in run_fresh(system, atoms.positions, tmp_path).stderr
