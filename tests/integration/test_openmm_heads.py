"""Heads of mhff in OpenMM: global parameters of a Context that change at run time."""

from __future__ import annotations

from ase import Atoms
from openmm import unit
from openmm_runs import add, assert_same, read, start
from structures import waters

from mhff_openmm.systems import system_of


def test_head_changed_at_run_time_equals_fresh_start(model_file):
    atoms = waters(5)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="surfaces", dtype="float64")
    context = start(system, atoms.positions)
    context.getIntegrator().step(5)
    context.setParameter("mhff_head_surfaces", 0.0)
    context.setParameter("mhff_head_molecules", 1.0)
    positions = (
        context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    )
    fresh_system, _ = system_of(atoms)
    add(fresh_system, topology, model_file, head="molecules", dtype="float64")
    assert_same(read(context), read(start(fresh_system, positions)))


def test_weights_are_used_as_given(model_file, ase_results):
    atoms = waters(3)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    context = start(system, atoms.positions)
    context.setParameter("mhff_head_molecules", 2.0)
    context.setParameter("mhff_head_materials", -0.5)
    molecules, materials = ase_results(atoms, "molecules"), ase_results(atoms, "materials")
    assert_same(
        read(context),
        (2 * molecules[0] - 0.5 * materials[0], 2 * molecules[1] - 0.5 * materials[1]),
    )


def test_two_forces_of_other_names_have_their_own_heads(model_file, ase_results):
    atoms = waters(3)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    add(system, topology, model_file, head="surfaces", dtype="float64", name="other").setForceGroup(
        1
    )
    context = start(system, atoms.positions)
    context.setParameter("other_head_surfaces", 0.0)
    assert_same(read(context), ase_results(atoms, "molecules"))


def test_warns_once_of_elements_a_head_was_not_trained_on(model_file, recwarn):
    atoms = Atoms("MgO", positions=[[0, 0, 0], [0, 0, 1.8]])
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="materials")
    context = start(system, atoms.positions)
    read(context)
    assert not recwarn.list
    for weight in (0.5, 1.0, 0.0, 1.0):
        context.setParameter("mhff_head_molecules", weight)
        read(context)
    assert [str(warning.message) for warning in recwarn.list] == [
        "head 'molecules' was not trained on Mg; its predictions for these elements are "
        "extrapolations"
    ]
