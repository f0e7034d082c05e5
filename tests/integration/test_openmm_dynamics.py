"""Trajectories of mhff in OpenMM: conservation, barostats, minimisation, several Contexts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openmm
import pytest
from ase import Atoms
from openmm import unit
from openmm_runs import add, assert_same, read, start
from structures import waters

from mhff.neighbours import neighbour_pairs
from mhff_openmm import add_mhff_force
from mhff_openmm.adapter import KJ_PER_MOL_PER_EV
from mhff_openmm.systems import system_of

MAX_DRIFT = {"float64": 1e-5, "float32": 1e-4}
"""eV per atom and ps, by precision."""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", MAX_DRIFT)
def test_water_cluster_conserves_its_energy_over_10_ps(dtype):
    atoms = waters(3)
    system, topology = system_of(atoms)
    add_mhff_force(system, topology, "mini", head="molecules", dtype=dtype)
    integrator = openmm.VerletIntegrator(0.5 * unit.femtosecond)
    context = start(system, atoms.positions, integrator=integrator)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=100)
    context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
    times, energies = [], []
    for _ in range(400):
        integrator.step(50)
        state = context.getState(energy=True)
        total = state.getPotentialEnergy() + state.getKineticEnergy()
        times.append(state.getTime().value_in_unit(unit.picosecond))
        energies.append(
            total.value_in_unit(unit.kilojoule_per_mole) / KJ_PER_MOL_PER_EV / len(atoms)
        )
    assert times[-1] == pytest.approx(10.0)
    assert np.ptp(energies) > 1e-7, "the integrator's error is seen"
    slope = np.polyfit(times, energies, 1)[0]
    assert abs(slope) < MAX_DRIFT[dtype]


@pytest.mark.slow
def test_langevin_dynamics_keeps_its_temperature():
    atoms = waters(3)
    system, topology = system_of(atoms)
    add_mhff_force(system, topology, "mini", head="molecules")
    integrator = openmm.LangevinMiddleIntegrator(300, 20, 0.0005)
    integrator.setRandomNumberSeed(1)
    context = start(system, atoms.positions, integrator=integrator)
    context.setVelocitiesToTemperature(300, 1)
    integrator.step(500)
    temperatures = []
    for _ in range(800):
        integrator.step(10)
        kinetic = context.getState(energy=True).getKineticEnergy()
        per_degree = kinetic / (0.5 * unit.MOLAR_GAS_CONSTANT_R * 3 * len(atoms))
        temperatures.append(per_degree.value_in_unit(unit.kelvin))
    blocks = np.reshape(temperatures, (20, -1)).mean(axis=1)
    error = blocks.std(ddof=1) / np.sqrt(len(blocks))
    assert error < 20
    assert abs(blocks.mean() - 300) < 3 * error


HEADS_OF_CONTEXTS = ("molecules", "surfaces", "materials")


def contexts_of_one_system(model_file: Path) -> list[openmm.Context]:
    """Three Contexts of one System, each with its own positions, velocities and head."""
    clusters = [waters(6), waters(6, spacing=3.4, seed=5), waters(6)]
    system, topology = system_of(clusters[0])
    add(system, topology, model_file, head="molecules", dtype="float64", skin=0.2)
    contexts = []
    for seed, (atoms, head) in enumerate(zip(clusters, HEADS_OF_CONTEXTS, strict=True)):
        integrator = openmm.LangevinMiddleIntegrator(1000, 5, 0.001)
        integrator.setRandomNumberSeed(seed + 1)
        context = start(system, atoms.positions, integrator=integrator)
        for name in HEADS_OF_CONTEXTS:
            context.setParameter(f"mhff_head_{name}", float(name == head))
        context.setVelocitiesToTemperature(1000, seed + 1)
        contexts.append(context)
    return contexts


def frames(context: openmm.Context, n: int) -> Iterator[tuple[Atoms, tuple[float, np.ndarray]]]:
    """Positions along a trajectory, with energy and forces there."""
    for _ in range(n):
        context.getIntegrator().step(1)
        state = context.getState(positions=True)
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        yield Atoms("OHH" * 6, positions=positions), read(context)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [False, True], ids=["in turn", "in threads"])
def test_contexts_of_one_system_do_not_disturb_each_other(threads, model_file, ase_results):
    contexts = contexts_of_one_system(model_file)
    n_frames = 40
    if threads:
        with ThreadPoolExecutor(len(contexts)) as pool:
            trajectories = list(pool.map(lambda context: [*frames(context, n_frames)], contexts))
    else:
        walks = [frames(context, n_frames) for context in contexts]
        trajectories = zip(*zip(*walks, strict=True), strict=True)
    for head, trajectory in zip(HEADS_OF_CONTEXTS, trajectories, strict=True):
        for atoms, results in trajectory:
            assert_same(results, ase_results(atoms, head))


def test_contexts_in_turn_search_for_neighbours_as_rarely_as_alone(model_file, monkeypatch):
    searches = []

    def counted(*arguments):
        searches.append(arguments)
        return neighbour_pairs(*arguments)

    def count(systems):
        searches.clear()
        contexts = []
        for system, cluster in zip(systems, clusters, strict=True):
            contexts.append(start(system, cluster.positions))
            contexts[-1].setVelocitiesToTemperature(300, 1)
        for _ in range(50):
            for context in contexts:
                context.getIntegrator().step(1)
        return len(searches)

    monkeypatch.setattr("mhff.verlet.neighbour_pairs", counted)
    clusters = (waters(6), waters(6, spacing=3.4, seed=5))
    system, topology = system_of(clusters[0])
    add(system, topology, model_file, head="molecules", dtype="float64")
    alone = count([copy.deepcopy(system), copy.deepcopy(system)])
    assert alone < 15
    assert count([system, system]) == alone


def test_minimiser_lowers_the_energy(model_file):
    atoms = waters(2)
    atoms.rattle(0.1, seed=7)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    context = start(system, atoms.positions)
    before = read(context)[0]
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=10)
    assert read(context)[0] < before
