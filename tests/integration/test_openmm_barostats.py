"""mhff in OpenMM's constant-pressure ensembles: every barostat, and the pressure that it keeps."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from ase import Atoms
from ase.build import bulk
from openmm import unit
from openmm_runs import add, assert_same, read, reduced, start
from structures import MGO_LATTICE, magnesia

from mhff.neighbours import neighbour_pairs
from mhff_openmm import add_mhff_force
from mhff_openmm.adapter import KJ_PER_MOL_PER_EV
from mhff_openmm.systems import system_of

HOT = 2000
COLD = 10
"""Temperatures, K."""
PRESSURE = 1 * unit.bar
EVERY = 2
"""Steps between trial moves of a box."""
MEMBRANE = openmm.MonteCarloMembraneBarostat
BAROSTATS = {
    "isotropic": lambda kelvin: openmm.MonteCarloBarostat(PRESSURE, kelvin, EVERY),
    "anisotropic": lambda kelvin: openmm.MonteCarloAnisotropicBarostat(
        openmm.Vec3(1, 1, 1) * unit.bar, kelvin, True, True, True, EVERY
    ),
    "flexible": lambda kelvin: openmm.MonteCarloFlexibleBarostat(PRESSURE, kelvin, EVERY),
    "membrane": lambda kelvin: MEMBRANE(
        PRESSURE, 0.0, kelvin, MEMBRANE.XYIsotropic, MEMBRANE.ZFree, EVERY
    ),
}


def skewed() -> Atoms:
    """8 atoms of MgO in a triclinic cell that is smaller than twice the cutoff."""
    atoms = bulk("MgO", "rocksalt", a=MGO_LATTICE) * (2, 2, 1)
    atoms.rattle(0.05, seed=3)
    return reduced(atoms)


STRUCTURES = {"cubic": magnesia, "triclinic": skewed}


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of atoms in each search for neighbours."""
    found = []

    def counted(positions, *others):
        found.append(len(positions))
        return neighbour_pairs(positions, *others)

    monkeypatch.setattr("mhff.verlet.neighbour_pairs", counted)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(
    ("platform", "barostat"), [("Reference", kind) for kind in BAROSTATS] + [("CPU", "isotropic")]
)
def test_results_are_those_of_a_fresh_list_after_every_move(
    platform, barostat, structure, model_file, ase_results
):
    atoms = STRUCTURES[structure]()
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="materials", dtype="float64", skin=0.3)
    force = BAROSTATS[barostat](HOT)
    force.setRandomNumberSeed(1)
    system.addForce(force)
    integrator = openmm.LangevinMiddleIntegrator(HOT, 5, 0.001)
    integrator.setRandomNumberSeed(1)
    context = start(system, atoms.positions, platform, integrator)
    context.setVelocitiesToTemperature(HOT, 1)
    volumes = []
    for _ in range(10):
        integrator.step(5)
        state = context.getState(positions=True)
        atoms.positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        atoms.cell = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)
        volumes.append(atoms.get_volume())
        assert_same(read(context), ase_results(atoms, "materials"))
    assert len(set(volumes)) > 2  # the barostat has changed the box


N_TRIALS = 40
"""Moves of the box; the first ones are small, and nearly all are accepted."""


@pytest.mark.parametrize("barostat", BAROSTATS)
def test_trial_moves_need_no_search(barostat, model_file, searches):
    """Neither moves of the box that are accepted nor those that are taken back."""
    atoms = skewed()
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="materials")
    force = BAROSTATS[barostat](COLD)
    force.setRandomNumberSeed(1)
    system.addForce(force)
    integrator = openmm.LangevinMiddleIntegrator(COLD, 5, 1e-6)  # atoms hardly move by themselves
    integrator.setRandomNumberSeed(1)
    context = start(system, atoms.positions, integrator=integrator)
    boxes = set()
    for _ in range(N_TRIALS):
        integrator.step(EVERY)
        box = context.getState().getPeriodicBoxVectors(asNumpy=True)
        boxes.add(tuple(box.value_in_unit(unit.angstrom).ravel()))
    assert 3 < len(boxes) < N_TRIALS, "some moves were accepted, some were not"
    assert len(searches) <= 2, "the first without a skin, the second with it"


SET_PRESSURE = 0.06
"""eV/A^3, about 10 GPa: more than ten times the uncertainty of the mean."""
EXPANSION = 1e-4
"""Relative change of the volume in finite differences."""
N_SAMPLES = 200
N_BLOCKS = 20


def at_volume(context: openmm.Context, factor: float) -> float:
    """Energy, eV, of the present structure with its volume times a factor; atoms scale with it."""
    state = context.getState(positions=True)
    scale = factor ** (1 / 3)
    box = state.getPeriodicBoxVectors(asNumpy=True)
    context.setPeriodicBoxVectors(*(scale * box))
    context.setPositions(scale * state.getPositions(asNumpy=True))
    energy = read(context)[0]
    context.setPeriodicBoxVectors(*box)
    context.setPositions(state.getPositions(asNumpy=True))
    return energy


@pytest.mark.slow
def test_the_mean_pressure_is_the_one_that_was_set():
    """N k T / V - dU/dV, whose mean in this ensemble is exactly the pressure."""
    atoms = magnesia(1)
    system, topology = system_of(atoms)
    add_mhff_force(system, topology, "mini", head="materials", dtype="float64")
    ev_per_cubic_angstrom = 1.602176634e6 * unit.bar
    barostat = openmm.MonteCarloBarostat(SET_PRESSURE * ev_per_cubic_angstrom, HOT, EVERY)
    barostat.setRandomNumberSeed(2)
    system.addForce(barostat)
    integrator = openmm.LangevinMiddleIntegrator(HOT, 20, 0.002)
    integrator.setRandomNumberSeed(2)
    context = start(system, atoms.positions, integrator=integrator)
    context.setVelocitiesToTemperature(HOT, 2)
    integrator.step(500)
    kt = (unit.MOLAR_GAS_CONSTANT_R * HOT * unit.kelvin).value_in_unit(unit.kilojoule_per_mole)
    pressures = []
    for _ in range(N_SAMPLES):
        integrator.step(20)
        volume = context.getState().getPeriodicBoxVolume().value_in_unit(unit.angstrom**3)
        slope = (at_volume(context, 1 + EXPANSION) - at_volume(context, 1 - EXPANSION)) / (
            2 * EXPANSION * volume
        )
        pressures.append(len(atoms) * kt / KJ_PER_MOL_PER_EV / volume - slope)
    blocks = np.reshape(pressures, (N_BLOCKS, -1)).mean(axis=1)
    error = blocks.std(ddof=1) / np.sqrt(N_BLOCKS)
    assert error < SET_PRESSURE / 10
    assert abs(blocks.mean() - SET_PRESSURE) < 3 * error
