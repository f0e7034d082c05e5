"""ML/MM systems of openmm-ml with mhff: their energies, heads, boxes and dynamics."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import pytest
from openmm import app, unit
from openmm_runs import read, run_fresh, start
from openmm_solutions import (
    SUM_OF_PARTS,
    Solution,
    assert_sum,
    solution,
    values,
    values_in,
    values_of,
)
from openmmml import MLPotential
from openmmml.embeddings.utilities import InterpolationHelper

from mhff import MHFFError
from mhff_openmm import energy_derivative, head_energies
from mhff_openmm.computation import MHFFComputation

METHODS = {"no cutoff": app.NoCutoff, "cutoff": app.CutoffPeriodic, "PME": app.PME}
FINITE_DIFFERENCES = 1e-4
"""kJ/mol/nm, five-point differences along a random direction."""
SAME_SLOPE = 1e-9
"""Relative, of derivatives with respect to a path's lambda."""
CONSERVED = 0.01
"""kJ/mol, the total energy over 4 fs."""


@pytest.fixture(scope="module")
def potential(model_file: Path) -> MLPotential:
    """The small model, in float64 and without compiling."""
    options = {"form": "eager", "dtype": "float64", "head": "molecules"}
    return MLPotential("mhff", modelPath=model_file, **options)


@pytest.fixture(scope="module")
def ml(ase_results: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """What a head adds: energy and forces of some atoms of a solution."""

    def added(liquid: Solution, atoms: list[int], head: Any = "molecules") -> np.ndarray:
        return values(ase_results(liquid.atoms(atoms), head), atoms, len(liquid.positions))

    return added


def mm_inside(liquid: Solution, atoms: list[int], method: Any) -> np.ndarray:
    """What the MM force field says about some atoms alone.

    Its PME of the periodic images stays in the mixed system, hence no cutoff for the atoms alone.
    """
    alone = liquid.only(atoms)
    method = app.NoCutoff if method is app.PME else method
    mm = alone.system(nonbondedMethod=method, useDispersionCorrection=False)
    return values(read(start(mm, alone.positions)), atoms, len(liquid.positions))


def switch(context: openmm.Context, head: str) -> None:
    """From the molecules head to another one."""
    context.setParameter("mhff_head_molecules", 0.0)
    context.setParameter(f"mhff_head_{head}", 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_is_the_sum_of_its_parts_and_interpolates(method: Any, potential, ml) -> None:
    liquid = solution()
    mm = liquid.system(nonbondedMethod=method)
    everything = values_of(mm, liquid.positions)
    inside = mm_inside(liquid, liquid.solute, method)
    molecules, surfaces = (ml(liquid, liquid.solute, head) for head in ("molecules", "surfaces"))
    mixed, interpolated = (
        potential.createMixedSystem(liquid.topology, mm, liquid.solute, interpolate=interpolate)
        for interpolate in (False, True)
    )
    for system in (mixed, interpolated):
        assert system.usesPeriodicBoundaryConditions() == (method is not app.NoCutoff)
    context = start(mixed, liquid.positions)
    assert_sum(values_in(context), everything - inside + molecules)
    switch(context, "surfaces")
    assert_sum(values_in(context), everything - inside + surfaces)
    context = start(interpolated, liquid.positions)
    for weight in (1.0, 0.0, 0.3):
        context.setParameter("lambda_interpolate", weight)
        assert_sum(values_in(context), everything + weight * (molecules - inside))
    switch(context, "surfaces")
    assert_sum(values_in(context), everything + weight * (surfaces - inside))


@pytest.mark.slow
def test_lambda_0_and_1_are_the_mm_and_the_mixed_system(potential) -> None:
    liquid = solution()
    mm = liquid.system(nonbondedMethod=app.PME)
    mixed = potential.createMixedSystem(liquid.topology, mm, liquid.solute)
    interpolated = potential.createMixedSystem(liquid.topology, mm, liquid.solute, interpolate=True)
    context = start(interpolated, liquid.positions)
    assert_sum(values_in(context), values_of(mixed, liquid.positions))
    context.setParameter("lambda_interpolate", 0.0)
    assert_sum(values_in(context), values_of(mm, liquid.positions))


@pytest.mark.parametrize("interpolate", [False, True])
def test_forces_are_derivatives(interpolate, potential) -> None:
    droplet = solution().only([*range(22), *solution().water(0), *solution().water(1)])
    system = potential.createMixedSystem(
        droplet.topology,
        droplet.system(nonbondedMethod=app.NoCutoff),
        droplet.solute,
        interpolate=interpolate,
    )
    context = start(system, droplet.positions)
    if interpolate:
        context.setParameter("lambda_interpolate", 0.4)
    direction = np.random.default_rng(3).normal(size=droplet.positions.shape)
    step = 2e-4  # A
    energies = []
    forces = values_in(context)[1:]
    for factor in (-2, -1, 1, 2):
        moved = droplet.positions + factor * step * direction
        context.setPositions(moved * unit.angstrom)
        energies.append(values_in(context)[0])
    derivative = np.dot([1, -8, 8, -1], energies) / (12 * step * 0.1)  # per nm
    assert -derivative == pytest.approx(forces @ direction.ravel(), abs=FINITE_DIFFERENCES)


@pytest.mark.slow
def test_an_ml_molecule_may_be_cut_by_the_box_edge_and_be_unwrapped(potential) -> None:
    liquid = solution(shape="skewed")
    mm = liquid.system(nonbondedMethod=app.CutoffPeriodic)
    system = potential.createMixedSystem(liquid.topology, mm, liquid.solute)
    expected = values_of(system, liquid.positions)
    box = np.array(
        [list(row) for row in liquid.topology.getPeriodicBoxVectors().value_in_unit(unit.angstrom)]
    )
    shift = -liquid.positions[liquid.solute].mean(axis=0)  # the molecule's middle to a corner
    fractions = (liquid.positions + shift)[liquid.solute] @ np.linalg.inv(box)
    rng = np.random.default_rng(0)
    strewn = rng.integers(-5, 6, (len(liquid.solute), 3))
    assert len(np.unique(np.floor(fractions), axis=0)) > 2  # the box edges do cut it
    for images in (-np.floor(fractions), strewn):
        positions = liquid.positions + shift
        positions[liquid.solute] += images @ box
        assert_sum(values_of(system, positions), expected)


def test_neighbours_of_an_ml_region_across_the_edge_are_its_own(potential, ml) -> None:
    """Two ML waters that are neighbours only through the periodic boundary interact."""
    liquid = solution()
    first, second = liquid.water(0), liquid.water(1)
    region = [*first, *second]
    length = 20.0
    positions = liquid.positions.copy()
    positions[first] += [0.5, 10.0, 10.0] - positions[first[0]]
    positions[second] += [length - 2.4, 10.0, 10.0] - positions[second[0]]
    mm = liquid.system(nonbondedMethod=app.CutoffPeriodic)
    system = potential.createMixedSystem(liquid.topology, mm, region, forceGroup=1)
    context = start(system, positions)
    state = context.getState(energy=True, groups={1})
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    positions[second] -= [length, 0, 0]
    moved = liquid._replace(positions=positions)
    assert energy == pytest.approx(ml(moved, region)[0], abs=1e-6)
    apart = ml(moved, first)[0] + ml(moved, second)[0]
    assert abs(energy - apart) > 0.1  # otherwise the test would say nothing


@pytest.mark.parametrize("interpolate", [False, True])
@pytest.mark.parametrize(
    ("method", "asked", "expected"),
    [
        (app.NoCutoff, None, False),
        (app.NoCutoff, True, True),
        (app.CutoffPeriodic, None, True),
        (app.CutoffPeriodic, False, False),
    ],
)
def test_mhff_is_periodic_if_the_mm_system_is(
    interpolate, method, asked, expected, potential
) -> None:
    liquid = solution()
    assert liquid.topology.getPeriodicBoxVectors() is not None
    water = liquid.only(liquid.water(0))
    system = potential.createMixedSystem(
        water.topology,
        water.system(nonbondedMethod=method),
        range(3),
        interpolate=interpolate,
        periodic=asked,
    )
    assert mhff_force(system).usesPeriodicBoundaryConditions() == expected


def mhff_force(system: openmm.System) -> openmm.PythonForce:
    """The force of mhff, which comes last, and may be inside the interpolating force."""
    last = system.getForce(system.getNumForces() - 1)
    return last.getCollectiveVariable(0) if isinstance(last, openmm.CustomCVForce) else last


def test_a_box_that_is_not_the_mm_systems_is_refused(potential) -> None:
    water = solution().only(solution().water(0))
    mm = water.system(nonbondedMethod=app.NoCutoff)
    mm.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in 3.0 * np.eye(3)))
    for interpolate in (False, True):
        with pytest.raises(MHFFError, match=r"the topology's box vectors are .* nm, the System's"):
            potential.createMixedSystem(
                water.topology, mm, range(3), interpolate=interpolate, periodic=True
            )


@pytest.mark.parametrize("interpolate", [False, True])
def test_mhff_has_a_force_group_of_its_own(interpolate, potential, ml) -> None:
    liquid = solution().only([*solution().solute, *solution().water(0)])
    mm = liquid.system(nonbondedMethod=app.NoCutoff)
    system = potential.createMixedSystem(
        liquid.topology, mm, liquid.solute, interpolate=interpolate, forceGroup=5
    )
    state = start(system, liquid.positions).getState(energy=True, groups={5})
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    assert energy == pytest.approx(ml(liquid, liquid.solute)[0], abs=1e-6)
    info = potential.createMixedSystem(liquid.topology, mm, liquid.solute, returnInfo=True)
    assert isinstance(info["system"], openmm.System)
    assert info["oldToNew"] == list(range(len(liquid.positions)))


def test_ml_atoms_may_be_a_generator_in_any_order(potential) -> None:
    liquid = solution().only([*solution().solute, *solution().water(0)])
    mm = liquid.system(nonbondedMethod=app.NoCutoff)
    in_order, reverse = (
        values_of(potential.createMixedSystem(liquid.topology, mm, atoms), liquid.positions)
        for atoms in (np.array(liquid.solute), (index for index in reversed(liquid.solute)))
    )
    assert_sum(reverse, in_order)


@pytest.mark.parametrize("interpolate", [False, True])
def test_two_regions_have_a_head_each(interpolate, potential, ml) -> None:
    liquid = solution().only([*solution().solute, *solution().water(0), *solution().water(1)])
    mm = liquid.system(nonbondedMethod=app.NoCutoff)
    water = liquid.water(0)
    first = potential.createMixedSystem(liquid.topology, mm, liquid.solute, interpolate=interpolate)
    with pytest.raises(MHFFError, match="give this one another name, for example name='mhff_2'"):
        potential.createMixedSystem(liquid.topology, first, water, head="surfaces")
    system = potential.createMixedSystem(
        liquid.topology, first, water, head="surfaces", name="mhff_2", interpolate=interpolate
    )
    expected = values_of(mm, liquid.positions)
    context = start(system, liquid.positions)
    if interpolate:
        context.setParameter("lambda_interpolate", 0.0)  # of both
        assert_sum(values_in(context), expected)
        context.setParameter("lambda_interpolate", 1.0)
    for region, head in ((liquid.solute, "molecules"), (water, "surfaces")):
        expected += ml(liquid, region, head) - mm_inside(liquid, region, app.NoCutoff)
    assert_sum(values_in(context), expected)


@pytest.mark.slow
@pytest.mark.parametrize("interpolate", [False, True])
def test_copies_and_saved_systems_are_the_same(interpolate, potential, tmp_path) -> None:
    liquid = solution()
    mm = liquid.system(nonbondedMethod=app.CutoffPeriodic)
    system = potential.createMixedSystem(
        liquid.topology, mm, liquid.solute, interpolate=interpolate
    )
    expected = values_of(system, liquid.positions)
    assert_sum(values_of(copy.deepcopy(system), liquid.positions), expected)
    result = run_fresh(system, liquid.positions, tmp_path)
    assert result.returncode == 0, result.stderr
    found = np.load(tmp_path / "results.npz")
    assert_sum(np.concatenate([[found["energy"]], found["forces"].ravel()]), expected)


@pytest.mark.slow
@pytest.mark.parametrize("interpolate", [False, True])
def test_tip4p_water_around_an_ml_solute(interpolate, potential, ml) -> None:
    liquid = solution(water="tip4pew")
    mm = liquid.system(nonbondedMethod=app.CutoffPeriodic)
    sites = [index for index in range(mm.getNumParticles()) if mm.isVirtualSite(index)]
    assert len(sites) == sum(residue.name == "HOH" for residue in liquid.topology.residues())
    system = potential.createMixedSystem(
        liquid.topology, mm, liquid.solute, interpolate=interpolate
    )
    expected = values_of(mm, liquid.positions)
    expected -= mm_inside(liquid, liquid.solute, app.CutoffPeriodic)
    expected += ml(liquid, liquid.solute)
    assert_sum(values_of(system, liquid.positions), expected)


@pytest.mark.parametrize("interpolate", [False, True])
def test_virtual_sites_of_ml_molecules_are_refused(interpolate, potential) -> None:
    liquid = solution(water="tip4pew")
    oxygen, hydrogen, other, site = liquid.water(0)
    mm = liquid.system(nonbondedMethod=app.CutoffPeriodic)
    for region in ([oxygen, hydrogen, other, site], [oxygen, hydrogen, other], [site]):
        with pytest.raises(
            MHFFError, match=rf"^particle {site} \('M'\) is a virtual site of an ML molecule, "
        ):
            potential.createMixedSystem(liquid.topology, mm, region, interpolate=interpolate)


@pytest.mark.parametrize("interpolate", [False, True])
def test_a_bond_to_an_mm_atom_is_refused(interpolate, potential) -> None:
    liquid = solution().only([*solution().solute, *solution().water(0)])
    mm = liquid.system(nonbondedMethod=app.NoCutoff)
    names = [atom.name for atom in liquid.topology.atoms()]
    side_chain = [names.index(name) for name in ("CB", "HB1", "HB2", "HB3")]
    with pytest.raises(
        MHFFError,
        match=r"^the ML atom 10 \('CB'\) is bonded to atom 8 \('CA'\), which is not an ML atom, "
        "and mhff cuts no bonds; choose whole molecules as ML atoms$",
    ):
        potential.createMixedSystem(liquid.topology, mm, side_chain, interpolate=interpolate)


@pytest.mark.parametrize("interpolate", [False, True])
def test_polarisable_ml_atoms_are_refused(interpolate, potential) -> None:
    water = solution().only(solution().water(0))
    mm = app.ForceField("amoeba2018.xml").createSystem(water.topology)
    with pytest.raises(
        MHFFError,
        match=r"^the ML atoms belong to the MM system's Amoeba\w+Force, and openmm-ml cannot "
        "remove their part of it; take a force field with fixed charges$",
    ):
        potential.createMixedSystem(water.topology, mm, range(3), interpolate=interpolate)


def test_drude_oscillators_may_surround_ml_atoms(potential) -> None:
    liquid = solution().only([*solution().water(0), *solution().water(1)])
    mm = liquid.system(nonbondedMethod=app.NoCutoff)
    drude = openmm.DrudeForce()
    drude.addParticle(4, 3, -1, -1, -1, -0.5, 1e-3, 1.0, 1.0)
    mm.addForce(drude)
    potential.createMixedSystem(liquid.topology, mm, range(3))
    with pytest.raises(MHFFError, match="the ML atoms belong to the MM system's DrudeForce"):
        potential.createMixedSystem(liquid.topology, mm, range(3, 6))


def test_a_path_and_the_energies_of_heads_in_an_interpolated_system(potential, ml) -> None:
    liquid = solution().only([*solution().solute, *solution().water(0)])
    mm = liquid.system(nonbondedMethod=app.NoCutoff)
    system = potential.createMixedSystem(
        liquid.topology,
        mm,
        liquid.solute,
        head=None,
        path=("materials", "molecules"),
        interpolate=True,
    )
    context = start(system, liquid.positions)
    context.setParameter("mhff_lambda", 0.25)
    context.setParameter("lambda_interpolate", 0.4)
    theory = ml(liquid, liquid.solute, {"materials": 0.75, "molecules": 0.25})
    expected = values_of(mm, liquid.positions)
    expected += 0.4 * (theory - mm_inside(liquid, liquid.solute, app.NoCutoff))
    assert_sum(values_in(context), expected)
    slope = energy_derivative(context, "mhff_lambda").value_in_unit(unit.kilojoule_per_mole)
    energies = {head: ml(liquid, liquid.solute, head)[0] for head in ("materials", "molecules")}
    assert slope == pytest.approx(
        0.4 * (energies["molecules"] - energies["materials"]), rel=SAME_SLOPE
    )
    for head, energy in energies.items():
        found = head_energies(context)[head].value_in_unit(unit.kilojoule_per_mole)
        assert found == pytest.approx(energy, abs=SUM_OF_PARTS)


def test_another_embedding_can_ask_with_an_empty_system(potential, ml) -> None:
    liquid = solution().only([*solution().solute, *solution().water(0)])
    for atoms in (liquid.solute, liquid.water(0)):
        helper = InterpolationHelper()
        helper.addMLPotentialTerms(potential._impl, liquid.topology, atoms, 3, periodic=False)
        system = openmm.System()
        for _ in liquid.positions:
            system.addParticle(1.0)
        helper.setupInterpolation(system)
        assert_sum(values_of(system, liquid.positions), ml(liquid, atoms))
    with pytest.raises(MHFFError, match=r"the ML atom 0 \('CH3'\) is bonded to atom 4 \('C'\)"):
        helper.addMLPotentialTerms(potential._impl, liquid.topology, range(4), 3)


@pytest.mark.parametrize(
    ("atoms", "sentence"),
    [
        ([], "expected at least one atom for the mhff force, got none"),
        ([0, 1, 2, 3], "atoms contains the index 3, but this topology has the atoms 0 to 2"),
        ([0, 1, 2, 1], "atoms contains the index 1 more than once"),
        ([0.0, 1.0, 2.0], "atoms must be None or indices of atoms"),
    ],
)
def test_wrong_ml_atoms_are_refused(atoms, sentence, potential) -> None:
    water = solution().only(solution().water(0))
    mm = water.system(nonbondedMethod=app.NoCutoff)
    with pytest.raises(MHFFError, match=sentence):
        potential.createMixedSystem(water.topology, mm, atoms)


def test_a_system_of_another_topology_is_refused(potential) -> None:
    water = solution().only(solution().water(0))
    system = openmm.System()
    for n_particles in (0, 1):
        with pytest.raises(MHFFError, match=f"has 3 atoms but the System has {n_particles} "):
            potential.createMixedSystem(water.topology, system, range(3))
        system.addParticle(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("interpolate", [False, True])
def test_constraints_and_repartitioned_masses(interpolate, potential) -> None:
    liquid = solution()
    mm = liquid.system(
        nonbondedMethod=app.PME,
        constraints=app.HBonds,
        rigidWater=True,
        hydrogenMass=3.0 * unit.dalton,
    )
    n_solute = 12  # bonds of hydrogen
    kept, removed = (
        potential.createMixedSystem(
            liquid.topology,
            mm,
            liquid.solute,
            interpolate=interpolate,
            removeConstraints=remove,
        )
        for remove in (False, True)
    )
    assert kept.getNumConstraints() == mm.getNumConstraints()
    assert removed.getNumConstraints() == mm.getNumConstraints() - n_solute
    for system in (kept, removed):
        masses = [system.getParticleMass(index) for index in range(mm.getNumParticles())]
        assert masses == [mm.getParticleMass(index) for index in range(mm.getNumParticles())]
    context = dynamics(kept, minimum(removed, liquid))
    positions = context.getState(positions=True).getPositions(asNumpy=True)
    for number in range(kept.getNumConstraints()):
        first, second, length = kept.getConstraintParameters(number)
        distance = np.linalg.norm((positions[first] - positions[second])._value)
        assert distance == pytest.approx(length._value, rel=1e-4)


def minimum(system: openmm.System, liquid: Solution) -> np.ndarray:
    """Positions near a minimum, A, of a System whose solute has no constraints.

    With them OpenMM's minimizer tries steps that throw hydrogens through their neighbours.
    """
    context = start(system, liquid.positions, "CPU")
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=20)
    return context.getState(positions=True).getPositions(asNumpy=True) / unit.angstrom


def dynamics(system: openmm.System, positions: np.ndarray) -> openmm.Context:
    """A few steps on the CPU platform."""
    integrator = openmm.LangevinMiddleIntegrator(300, 1, 0.0005)
    context = start(system, positions, "CPU", integrator)
    context.applyConstraints(integrator.getConstraintTolerance())
    context.setVelocitiesToTemperature(300, 1)
    integrator.step(20)
    return context


@pytest.mark.slow
@pytest.mark.parametrize("water", ["tip3p", "tip4pew"])
def test_dynamics_with_a_barostat(water, potential) -> None:
    liquid = solution(water)
    mm = liquid.system(nonbondedMethod=app.PME, constraints=app.HBonds, rigidWater=True)
    system = potential.createMixedSystem(liquid.topology, mm, liquid.solute, forceGroup=1)
    barostat = openmm.MonteCarloBarostat(1 * unit.bar, 300 * unit.kelvin, 2)
    system.addForce(barostat)
    context = dynamics(system, minimum(system, liquid))
    state = context.getState(energy=True)
    volume = state.getPeriodicBoxVolume().value_in_unit(unit.nanometer**3)
    assert volume == pytest.approx(8.0, rel=0.1)
    assert volume != 8.0
    kinetic = state.getKineticEnergy().value_in_unit(unit.kilojoule_per_mole)
    freedom = 3 * 22 + 6 * sum(each.name == "HOH" for each in liquid.topology.residues())
    assert kinetic == pytest.approx(freedom * 0.5 * 2.494, rel=0.2)  # RT at 300 K, kJ/mol


def test_multiple_time_steps_evaluate_mhff_in_the_outer_steps_only(potential, monkeypatch) -> None:
    liquid = solution().only([*solution().solute, *solution().water(0), *solution().water(1)])
    mm = liquid.system(nonbondedMethod=app.NoCutoff)
    system = potential.createMixedSystem(liquid.topology, mm, liquid.solute, forceGroup=1)
    evaluate = MHFFComputation._evaluate
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return evaluate(*arguments)

    monkeypatch.setattr(MHFFComputation, "_evaluate", counted)
    n_steps = 20
    integrator = openmm.MTSIntegrator(0.0002, [(0, 4), (1, 1)])  # MM every 0.05 fs
    context = start(system, liquid.positions, integrator=integrator)
    totals = []
    for _ in range(2):
        state = context.getState(energy=True)
        total = state.getPotentialEnergy() + state.getKineticEnergy()
        totals.append(total.value_in_unit(unit.kilojoule_per_mole))
        calls.clear()
        integrator.step(n_steps)
    assert len(calls) == n_steps + 1
    assert totals[1] == pytest.approx(totals[0], abs=CONSERVED)
    kinetic = state.getKineticEnergy().value_in_unit(unit.kilojoule_per_mole)
    assert kinetic > 100 * CONSERVED  # it moves
