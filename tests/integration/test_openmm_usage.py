"""What users do next with mhff in OpenMM: constraints, time steps, bias, solvent, platforms."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from ase import Atoms
from openmm import app, unit
from openmm.app.metadynamics import BiasVariable, Metadynamics
from openmm_runs import add, assert_same, read, start
from structures import waters

from mhff_openmm.adapter import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from mhff_openmm.systems import system_of

SAME_DISTANCE = 1e-6
"""A, of constrained distances; the tolerance of the integrators is 1e-8, relative."""
HYDROGEN = 4.0
"""Mass of hydrogen atoms after repartitioning, amu."""


def positions_of(context: openmm.Context) -> np.ndarray:
    """A."""
    state = context.getState(positions=True)
    return state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)


def test_rigid_water_with_heavy_hydrogen(model_file, ase_results):
    """Constraints hold during a step of 2 fs, and forces are those without constraints."""
    atoms = waters(3)
    system, topology = system_of(atoms)
    distances = {}
    for oxygen in range(0, len(atoms), 3):
        first, second = oxygen + 1, oxygen + 2
        for pair in ((oxygen, first), (oxygen, second), (first, second)):
            distances[pair] = atoms.get_distance(*pair)
            system.addConstraint(*pair, distances[pair] / ANGSTROM_PER_NM)
        for hydrogen in (first, second):
            moved = HYDROGEN * unit.amu - system.getParticleMass(hydrogen)
            system.setParticleMass(oxygen, system.getParticleMass(oxygen) - moved)
            system.setParticleMass(hydrogen, HYDROGEN)
    add(system, topology, model_file, head="molecules", dtype="float64")
    integrator = openmm.LangevinMiddleIntegrator(300, 1, 0.002)
    integrator.setConstraintTolerance(1e-8)
    context = start(system, atoms.positions, integrator=integrator)
    context.setVelocitiesToTemperature(300, 1)
    integrator.step(20)
    atoms.positions = positions_of(context)
    for pair, distance in distances.items():
        assert abs(atoms.get_distance(*pair) - distance) < SAME_DISTANCE
    assert_same(read(context), ase_results(atoms, "molecules"))


@pytest.mark.parametrize("langevin", [False, True])
def test_multiple_time_steps(langevin, model_file, monkeypatch):
    """mhff in the outer step, springs in inner ones: mhff is called once per outer step."""
    atoms = waters(2)
    system, topology = system_of(atoms)
    force = add(system, topology, model_file, head="molecules", dtype="float64")
    force.setForceGroup(1)
    springs = openmm.HarmonicBondForce()
    for oxygen in (0, 3):
        for hydrogen in (1, 2):
            springs.addBond(oxygen, oxygen + hydrogen, 0.097, 1e5)
    system.addForce(springs)
    groups = [(1, 1), (0, 4)]
    integrator = (
        openmm.MTSLangevinIntegrator(300, 1, 0.001, groups)
        if langevin
        else openmm.MTSIntegrator(0.001, groups)
    )
    context = start(system, atoms.positions, integrator=integrator)
    integrator.step(1)
    calls = []
    evaluate = force.computation.evaluate

    def counted(*arguments):
        calls.append(arguments)
        return evaluate(*arguments)

    monkeypatch.setattr(force.computation, "evaluate", counted)
    before = positions_of(context)
    integrator.step(10)
    assert len(calls) == 10
    assert np.abs(positions_of(context) - before).max() > 1e-3


def test_metadynamics_and_collective_variables(model_file, tmp_path):
    """A bias on the distance of two molecules, beside a CustomCVForce of mhff itself."""
    atoms = waters(2)
    system, topology = system_of(atoms)
    force = add(system, topology, model_file, head="molecules", dtype="float64")
    scaled = openmm.CustomCVForce("0.5 * mhff_copy")
    scaled.addCollectiveVariable("mhff_copy", copy.deepcopy(force))
    system.addForce(scaled)
    distance = openmm.CustomBondForce("r")
    distance.addBond(0, 3)
    variable = BiasVariable(distance, 0.2, 0.6, 0.02, periodic=False)
    bias = Metadynamics(system, [variable], 300, 5, 1.0, 5, saveFrequency=5, biasDir=str(tmp_path))
    integrator = openmm.LangevinMiddleIntegrator(300, 5, 0.0005)
    reference = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, integrator, reference)
    simulation.context.setPositions(atoms.positions / ANGSTROM_PER_NM)
    bias.step(simulation, 20)
    free_energy = bias.getFreeEnergy().value_in_unit(unit.kilojoule_per_mole)
    assert np.isfinite(free_energy).all()
    assert np.ptp(free_energy) > 0
    where = atoms.copy()
    where.positions = positions_of(simulation.context)
    expected = bias.getCollectiveVariables(simulation)[0]
    assert where.get_distance(0, 3) / ANGSTROM_PER_NM == pytest.approx(expected)


def test_modeller_and_solvent(model_file, ase_results):
    """A box of water by Modeller.addSolvent; mhff describes all of it, or the solute alone."""
    forcefield = app.ForceField("amber14/tip3p.xml")
    empty = app.Modeller(app.Topology(), [])
    empty.addSolvent(forcefield, boxSize=openmm.Vec3(0.9, 0.9, 0.9) * unit.nanometer)
    box = empty.topology
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*box.getPeriodicBoxVectors())
    for atom in box.atoms():
        system.addParticle(atom.element.mass)
    add(system, box, model_file, head="molecules", dtype="float64")
    positions = np.array(empty.positions.value_in_unit(unit.angstrom))
    atoms = Atoms(
        [atom.element.symbol for atom in box.atoms()], positions=positions, cell=[9] * 3, pbc=True
    )
    assert len(atoms) > 20
    assert_same(read(start(system, positions)), ase_results(atoms, "molecules"))
    first = [atom.index for atom in next(box.residues()).atoms()]
    mm = forcefield.createSystem(box, nonbondedMethod=app.CutoffPeriodic, nonbondedCutoff=0.4)
    add(mm, box, model_file, head="molecules", dtype="float64", atoms=first).setForceGroup(7)
    context = start(mm, positions)
    energy = context.getState(energy=True, groups={7}).getPotentialEnergy()
    in_ev = energy.value_in_unit(unit.kilojoule_per_mole) / KJ_PER_MOL_PER_EV
    assert in_ev == pytest.approx(ase_results(atoms[first], "molecules")[0], abs=1e-9)


def test_several_forces_act_on_their_own_atoms(model_file, ase_results):
    """Two molecules with a head each, on every platform that is installed."""
    atoms = waters(2)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64", atoms=range(3))
    other = {"head": "surfaces", "atoms": range(5, 2, -1), "name": "other"}
    add(system, topology, model_file, dtype="float64", **other)
    first, second = ase_results(atoms[:3], "molecules"), ase_results(atoms[3:], "surfaces")
    expected = first[0] + second[0], np.concatenate([first[1], second[1]])
    names = [
        openmm.Platform.getPlatform(index).getName()
        for index in range(openmm.Platform.getNumPlatforms())
    ]
    assert {"Reference", "CPU"} <= set(names)
    for name in names:
        tolerance = 1e-11 if name in ("Reference", "CPU") else 1e-4  # others run in float32
        assert_same(read(start(system, atoms.positions, name)), expected, tolerance, tolerance)
