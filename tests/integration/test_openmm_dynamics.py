"""Trajectories of mhff in OpenMM: conservation, barostats, minimisation, several Contexts."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from openmm import unit
from openmm_runs import (
    DRIFT_TOLERANCE,
    add,
    assert_same,
    magnesia,
    rattled,
    read,
    start,
    to_openmm,
    waters,
)

from mhff_openmm import add_mhff_force
from mhff_openmm.adapter import KJ_PER_MOL_PER_EV

BAROSTATS = {
    "isotropic": lambda: openmm.MonteCarloBarostat(1 * unit.bar, 2000, 4),
    "anisotropic": lambda: openmm.MonteCarloAnisotropicBarostat(
        openmm.Vec3(1, 1, 1) * unit.bar, 2000, True, True, True, 4
    ),
    "flexible": lambda: openmm.MonteCarloFlexibleBarostat(1 * unit.bar, 2000, 4),
}


def test_water_cluster_conserves_its_energy():
    atoms = waters(3)
    system, topology = to_openmm(atoms)
    add_mhff_force(system, topology, "mini", head="molecules", dtype="float64")
    integrator = openmm.VerletIntegrator(0.25 * unit.femtosecond)
    context = start(system, atoms.positions, integrator=integrator)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=100)
    context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
    times, energies = [], []
    for _ in range(400):
        integrator.step(20)
        state = context.getState(energy=True)
        total = state.getPotentialEnergy() + state.getKineticEnergy()
        times.append(state.getTime().value_in_unit(unit.picosecond))
        energies.append(
            total.value_in_unit(unit.kilojoule_per_mole) / KJ_PER_MOL_PER_EV / len(atoms)
        )
    assert times[-1] == pytest.approx(2.0)
    slope = np.polyfit(times, energies, 1)[0]
    assert abs(slope * times[-1]) < DRIFT_TOLERANCE


@pytest.mark.parametrize(
    ("platform", "barostat"), [("Reference", kind) for kind in BAROSTATS] + [("CPU", "isotropic")]
)
def test_skin_list_equals_fresh_list_along_a_trajectory_with_a_barostat(
    platform, barostat, model_file, ase_results
):
    atoms = magnesia()
    system, topology = to_openmm(atoms)
    add(system, topology, model_file, head="materials", dtype="float64", skin=0.3)
    force = BAROSTATS[barostat]()
    force.setRandomNumberSeed(1)
    system.addForce(force)
    context = start(
        system, atoms.positions, platform, openmm.LangevinMiddleIntegrator(2000, 5, 0.001)
    )
    context.setVelocitiesToTemperature(2000, 1)
    volumes = []
    for _ in range(12):
        context.getIntegrator().step(5)
        state = context.getState(positions=True)
        atoms.positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        atoms.cell = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)
        volumes.append(atoms.get_volume())
        assert_same(read(context), ase_results(atoms, "materials"))
    assert len(set(volumes)) > 2  # the barostat has changed the box


def test_two_contexts_of_one_system_do_not_disturb_each_other(model_file, ase_results):
    one, other = waters(4), waters(4, spacing=3.4, seed=5)
    system, topology = to_openmm(one)
    add(system, topology, model_file, head="molecules", dtype="float64")
    contexts = [start(system, atoms.positions) for atoms in (one, other)]
    for _ in range(2):
        for context, atoms in zip(contexts, (one, other), strict=True):
            assert_same(read(context), ase_results(atoms, "molecules"))


def test_minimiser_lowers_the_energy(model_file):
    atoms = rattled(waters(2), 0.1)
    system, topology = to_openmm(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    context = start(system, atoms.positions)
    before = read(context)[0]
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=10)
    assert read(context)[0] < before
