"""Systems with mhff that are copied, saved, and read in another process."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app
from openmm_runs import MIX, add, assert_same, read, reduced, run_fresh, start
from structures import triclinic, waters
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

from mhff import MHFFError
from mhff_openmm.adapter import ANGSTROM_PER_NM
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


def water_simulation(model_file, seed):
    atoms = waters(2)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64", form="eager")
    integrator = openmm.LangevinMiddleIntegrator(300, 5, 0.0005)
    integrator.setRandomNumberSeed(seed)
    reference = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, integrator, reference)
    simulation.context.setPositions(atoms.positions / ANGSTROM_PER_NM)
    simulation.context.setVelocitiesToTemperature(300, seed)
    return simulation


def test_a_simulation_goes_on_from_its_state_and_its_checkpoint(model_file, tmp_path):
    """Positions, velocities and heads of the moment that was saved."""
    simulation = water_simulation(model_file, 1)
    simulation.context.setParameter("mhff_head_molecules", 0.25)
    simulation.context.setParameter("mhff_head_surfaces", 0.75)
    simulation.step(5)
    simulation.saveState(str(tmp_path / "state.xml"))
    simulation.saveCheckpoint(str(tmp_path / "checkpoint"))
    expected = read(simulation.context)
    simulation.step(5)
    later = read(simulation.context)
    assert abs(later[0] - expected[0]) > 1e-6
    fresh = water_simulation(model_file, 2)
    fresh.step(3)
    fresh.loadState(str(tmp_path / "state.xml"))
    assert_same(read(fresh.context), expected)
    assert fresh.context.getParameter("mhff_head_surfaces") == 0.75
    simulation.loadCheckpoint(str(tmp_path / "checkpoint"))
    assert_same(read(simulation.context), expected)
    simulation.step(5)  # a checkpoint holds the random numbers, too
    assert_same(read(simulation.context), later)


CONTINUES = """
import sys
import openmm
from openmm import app
system, state = (openmm.XmlSerializer.deserialize(open(name).read()) for name in sys.argv[1:3])
reference = openmm.Platform.getPlatformByName("Reference")
context = openmm.Context(system, openmm.VerletIntegrator(0.0005), reference)
context.setState(state)
print(repr(context.getState(energy=True).getPotentialEnergy()._value))
"""


@pytest.mark.slow
def test_a_system_and_a_state_go_on_in_a_fresh_process(model_file, tmp_path):
    simulation = water_simulation(model_file, 1)
    simulation.context.setParameter("mhff_head_molecules", 0.5)
    simulation.step(3)
    state = simulation.context.getState(
        positions=True, velocities=True, parameters=True, energy=True
    )
    files = [str(tmp_path / "system.xml"), str(tmp_path / "state.xml")]
    for file, saved in zip(files, (simulation.system, state), strict=True):
        Path(file).write_text(openmm.XmlSerializer.serialize(saved))
    result = subprocess.run(
        [sys.executable, "-c", CONTINUES, *files], capture_output=True, text=True, check=True
    )
    assert float(result.stdout) == pytest.approx(state.getPotentialEnergy()._value, abs=1e-6)


def test_a_model_that_vanished_is_told_and_the_context_goes_on(model_file, tmp_path):
    """The program is in memory: a running Context needs the file no more, a new process does."""
    moved = tmp_path / "moved.mhff"
    moved.write_bytes(model_file.read_bytes())
    atoms = waters(1)
    system, topology = system_of(atoms)
    add(system, topology, moved, head="molecules", dtype="float64")
    context = start(system, atoms.positions)
    expected = read(context)
    moved.unlink()
    context.getIntegrator().step(1)
    context.setPositions(atoms.positions / ANGSTROM_PER_NM)
    assert_same(read(context), expected)
    with pytest.raises(MHFFError, match=f"^no file '{moved}'"):
        add(system, topology, moved, head="molecules", name="other")
