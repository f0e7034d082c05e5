"""The level of theory as a variable of a running Context."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import pytest
from models import HEADS
from openmm import unit
from openmm_runs import SAME_PROGRAM, add, assert_same, read, reduced, start
from structures import triclinic, waters

from mhff import MHFFError
from mhff_openmm import energy_derivative, head_energies
from mhff_openmm.adapter import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from mhff_openmm.systems import system_of

PATH = ("materials", "molecules")
Results = Callable[..., Any]
DERIVATIVE = 1e-7
"""Relative, against central differences."""


def water_system(model: Path, n_waters: int = 3, **arguments: Any) -> openmm.System:
    system, topology = system_of(waters(n_waters))
    add(system, topology, model, dtype="float64", **arguments)
    return system


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0, 1.5])
def test_a_place_on_the_path_equals_a_fresh_mix(
    model_file: Path, ase_results: Results, fraction: float
) -> None:
    atoms = waters(3)
    context = start(water_system(model_file, path=PATH), atoms.positions)
    context.setParameter("mhff_lambda", fraction)
    mix = {"materials": 1 - fraction, "molecules": fraction}
    assert_same(read(context), read(start(water_system(model_file, head=mix), atoms.positions)))
    assert_same(read(context), ase_results(atoms, mix))


def test_heads_beside_the_path(model_file: Path, ase_results: Results) -> None:
    atoms = waters(3)
    context = start(water_system(model_file, path=PATH), atoms.positions)
    context.setParameter("mhff_lambda", 0.25)
    context.setParameter("mhff_head_surfaces", 0.5)
    context.setParameter("mhff_head_molecules", -0.5)
    mix = {"materials": 0.75, "molecules": -0.25, "surfaces": 0.5}
    assert_same(read(context), ase_results(atoms, mix))


def test_lambda_changed_in_a_running_context_equals_a_fresh_one(model_file: Path) -> None:
    atoms = waters(5)
    context = start(water_system(model_file, 5, path=PATH), atoms.positions)
    context.getIntegrator().step(5)
    context.setParameter("mhff_lambda", 0.75)
    context.getIntegrator().step(5)
    state = context.getState(positions=True)
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    fresh = start(water_system(model_file, 5, path=PATH), positions)
    assert context.getParameter("mhff_lambda") == 0.75
    assert fresh.getParameter("mhff_lambda") == 0.0
    fresh.setParameter("mhff_lambda", 0.75)
    assert_same(read(context), read(fresh))


def test_a_head_and_a_path_are_refused(model_file: Path) -> None:
    with pytest.raises(MHFFError, match="got both head='molecules' and path=") as caught:
        water_system(model_file, head="molecules", path=PATH)
    assert "give the path alone" in str(caught.value)


def electronvolts(energies: dict[str, unit.Quantity]) -> np.ndarray:
    values = [energy.value_in_unit(unit.kilojoule_per_mole) for energy in energies.values()]
    return np.array(values) / KJ_PER_MOL_PER_EV


def expected_energies(results: Results, atoms: Any) -> np.ndarray:
    return np.array([results(atoms, head)[0] for head in HEADS])


def assert_head_energies(context: openmm.Context, expected: np.ndarray, n_atoms: int) -> None:
    found = head_energies(context)
    assert tuple(found) == HEADS
    assert np.abs(electronvolts(found) - expected).max() <= SAME_PROGRAM * n_atoms


def difference(context: openmm.Context, parameter: str, step: float = 0.5) -> float:
    """Central difference of the energy, kJ/mol; exact up to rounding, as the energy is linear."""
    value = context.getParameter(parameter)
    energies = []
    for at in (value - step, value + step):
        context.setParameter(parameter, at)
        energies.append(context.getState(energy=True).getPotentialEnergy()._value)
    context.setParameter(parameter, value)
    return (energies[1] - energies[0]) / (2 * step)


def assert_derivative(context: openmm.Context, parameter: str, step: float = 0.5) -> float:
    found = energy_derivative(context, parameter)
    assert found.unit == unit.kilojoule_per_mole
    expected = difference(context, parameter, step)
    assert abs(found._value - expected) <= DERIVATIVE * abs(expected)
    return float(found._value)


def test_head_energies_are_those_of_each_head_alone(model_file: Path, ase_results: Results) -> None:
    atoms = waters(4)
    context = start(water_system(model_file, 4, path=PATH), atoms.positions)
    assert_head_energies(context, expected_energies(ase_results, atoms), len(atoms))
    context.getIntegrator().step(3)
    state = context.getState(positions=True)
    atoms.positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    assert_head_energies(context, expected_energies(ase_results, atoms), len(atoms))


@pytest.mark.filterwarnings("ignore:head 'molecules' was not trained")
def test_head_energies_in_the_box_of_now(model_file: Path, ase_results: Results) -> None:
    atoms = reduced(triclinic())
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="surfaces", dtype="float64")
    context = start(system, atoms.positions)
    assert_head_energies(context, expected_energies(ase_results, atoms), len(atoms))
    atoms.set_cell(1.03 * atoms.cell, scale_atoms=True)
    context.setPeriodicBoxVectors(*(atoms.cell[:] / ANGSTROM_PER_NM))
    context.setPositions(atoms.positions / ANGSTROM_PER_NM)
    assert_head_energies(context, expected_energies(ase_results, atoms), len(atoms))


def test_head_energies_of_some_atoms_in_their_own_order(
    model_file: Path, ase_results: Results
) -> None:
    atoms = waters(4)
    chosen = [7, 6, 8, 3, 5, 4]
    context = start(water_system(model_file, 4, head="molecules", atoms=chosen), atoms.positions)
    assert_head_energies(context, expected_energies(ase_results, atoms[chosen]), len(chosen))


def test_derivatives_equal_finite_differences(model_file: Path) -> None:
    context = start(water_system(model_file, path=PATH), waters(3).positions)
    context.setParameter("mhff_lambda", 0.3)
    slope = assert_derivative(context, "mhff_lambda")
    energies = head_energies(context)
    expected = (energies["molecules"] - energies["materials"])._value
    assert slope == pytest.approx(expected, rel=1e-12)
    assert assert_derivative(context, "mhff_head_surfaces") == energies["surfaces"]._value


def test_forces_of_several_names(model_file: Path, ase_results: Results) -> None:
    atoms = waters(4)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64", atoms=range(6))
    system.addForce(openmm.CMMotionRemover())
    rest = range(6, 12)
    add(system, topology, model_file, path=PATH, dtype="float64", atoms=rest, name="rest")
    context = start(system, atoms.positions)
    for name, part in (("mhff", atoms[:6]), ("rest", atoms[6:])):
        found = electronvolts(head_energies(context, name))
        assert np.abs(found - expected_energies(ase_results, part)).max() <= SAME_PROGRAM * 6
    assert_derivative(context, "rest_lambda")
    with pytest.raises(MHFFError) as caught:
        head_energies(context, "other")
    assert str(caught.value) == (
        "this Context has no mhff force 'other': the force 'mhff' has mhff_head_materials, "
        "mhff_head_surfaces, mhff_head_molecules; the force 'rest' has rest_head_materials, "
        "rest_head_surfaces, rest_head_molecules, rest_lambda"
    )
    with pytest.raises(MHFFError, match="no mhff force of this Context has the parameter 'lambda'"):
        energy_derivative(context, "lambda")


def harmonic_force(state: openmm.State) -> tuple[float, np.ndarray]:
    """A PythonForce of another's, whose parameter looks like ours."""
    positions = state.getPositions(asNumpy=True)._value
    return 0.5 * float((positions**2).sum()), -positions


def test_a_context_without_mhff() -> None:
    system, _ = system_of(waters(1))
    system.addForce(openmm.PythonForce(harmonic_force, {"mhff_head_materials": 1.0}))
    system.addForce(openmm.PythonForce(lambda state: harmonic_force(state), {"a_head_b": 1.0}))
    context = start(system, waters(1).positions)
    with pytest.raises(MHFFError) as caught:
        head_energies(context)
    assert str(caught.value) == (
        "this Context has no mhff force 'mhff': it has none in its System or its CustomCVForces; "
        "call add_mhff_force before making the Context"
    )


def test_a_force_that_was_added_after_the_context_is_not_in_it(model_file: Path) -> None:
    system, topology = system_of(waters(1))
    context = start(system, waters(1).positions)
    add(context.getSystem(), topology, model_file, head="molecules")
    with pytest.raises(MHFFError, match="it has none in its System"):
        head_energies(context)


def test_copies_and_systems_from_a_file(model_file: Path, ase_results: Results) -> None:
    atoms = waters(3)
    system = water_system(model_file, path=PATH)
    text = openmm.XmlSerializer.serialize(system)
    for same in (copy.deepcopy(system), openmm.XmlSerializer.deserialize(text)):
        context = start(same, atoms.positions)
        assert_head_energies(context, expected_energies(ase_results, atoms), len(atoms))
        assert_derivative(context, "mhff_lambda")


def inside(force: openmm.Force, function: str) -> openmm.CustomCVForce:
    cv = openmm.CustomCVForce(function)
    cv.addGlobalParameter("scale", 0.5)
    cv.addTabulatedFunction("table", openmm.Continuous1DFunction([0.0, 0.5, 2.0, 4.5], 0.0, 3.0))
    distance = openmm.CustomBondForce("r")
    distance.addBond(0, 3)
    cv.addCollectiveVariable("distance", distance)
    cv.addCollectiveVariable("model", force)
    return cv


def mhff_force(model: Path) -> openmm.Force:
    """A copy of a force with a path, for three waters."""
    system = water_system(model, path=PATH)
    return copy.deepcopy(system.getForce(0))  # the System must live while its force is copied


@pytest.mark.parametrize(
    "function",
    ["scale*model + 100*distance", "distance*(1 + scale)*model", "1e-6*table(scale)*model^2"],
)
def test_inside_a_cv_force(model_file: Path, ase_results: Results, function: str) -> None:
    """As openmm-ml does to interpolate; the derivative is that of the Context's energy."""
    atoms = waters(3)
    system, _ = system_of(atoms)
    system.addForce(inside(mhff_force(model_file), function))
    context = start(system, atoms.positions)
    context.setParameter("mhff_lambda", 0.4)
    context.setParameter("scale", 0.7)
    assert_head_energies(context, expected_energies(ase_results, atoms), len(atoms))
    assert_derivative(context, "mhff_lambda")
    context.getIntegrator().step(1)
    assert_derivative(context, "mhff_lambda")


def test_inside_a_cv_force_of_a_cv_force(model_file: Path) -> None:
    atoms = waters(3)
    system, _ = system_of(atoms)
    outer = openmm.CustomCVForce("half*inner")
    outer.addGlobalParameter("half", 0.5)
    outer.addCollectiveVariable("inner", inside(mhff_force(model_file), "scale*model*distance"))
    system.addForce(outer)
    assert_derivative(start(system, atoms.positions), "mhff_lambda")


def test_two_copies_of_one_force_count_twice(model_file: Path) -> None:
    atoms = waters(3)
    system = water_system(model_file, path=PATH)
    system.addForce(inside(mhff_force(model_file), "scale*model"))
    context = start(system, atoms.positions)
    assert_derivative(context, "mhff_lambda")
    assert len(head_energies(context)) == len(HEADS)


def test_different_forces_of_one_name_are_refused(model_file: Path) -> None:
    atoms = waters(3)
    system = water_system(model_file, path=PATH)
    force = mhff_force(model_file)
    force.setParticles(list(reversed(range(9))))
    system.addForce(force)
    with pytest.raises(MHFFError, match="has 2 different mhff forces 'mhff'"):
        head_energies(start(system, atoms.positions))
