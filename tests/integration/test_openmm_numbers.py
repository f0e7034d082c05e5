"""Energies and forces of mhff in real OpenMM against the ASE calculator."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import openmm
import pytest
from ase import Atoms
from models import HEADS
from openmm_runs import MIX, add, assert_same, read, reduced, start
from structures import (
    adsorbate,
    close_contacts,
    far_apart,
    magnesia,
    one_atom,
    tiny_cell,
    triclinic,
    water_cluster,
    waters,
)
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

from mhff import MHFFCalculator, MHFFError, load
from mhff.options import CompileOptions, Form, Precision
from mhff_deploy.compiling.cache import compiled
from mhff_openmm import add_mhff_force
from mhff_openmm.systems import system_of

PLATFORMS = ("Reference", "CPU")
FORMS = ("aoti", "torchscript", "eager")
STRUCTURES: dict[str, Callable[[], Atoms]] = {
    build.__name__: build
    for build in (
        water_cluster,
        magnesia,
        triclinic,
        tiny_cell,
        adsorbate,
        close_contacts,
        far_apart,
        one_atom,
    )
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_equals_ase_for_every_head_and_changes_head_at_run_time(structure, form):
    atoms = reduced(STRUCTURES[structure]())
    system, topology = system_of(atoms)
    add_mhff_force(system, topology, "mini", head=MIX, dtype="float64", form=form)
    contexts = [start(system, atoms.positions, platform) for platform in PLATFORMS]
    atoms.calc = MHFFCalculator("mini", head=MIX, dtype="float64", form="eager")
    energies = set()
    for head in (MIX, *HEADS):
        weights = {head: 1.0} if isinstance(head, str) else head
        atoms.calc.set_head(head)
        expected = atoms.get_potential_energy(), atoms.get_forces()
        energies.add(expected[0])
        for context in contexts:
            for name in HEADS:
                context.setParameter(f"mhff_head_{name}", weights.get(name, 0.0))
            assert_same(read(context), expected, ENGINE_ENERGY, ENGINE_FORCE)
    assert len(energies) == 1 + len(HEADS)  # the heads differ, so the comparison means something


@pytest.mark.slow
def test_takes_an_artefact():
    artefact = compiled(
        load("mini"), CompileOptions(precision=Precision.FLOAT64, form=Form.TORCHSCRIPT)
    )
    atoms = waters(2)
    system, topology = system_of(atoms)
    with pytest.raises(MHFFError, match="no head given: this model has the heads"):
        add_mhff_force(system, topology, artefact, dtype="float64")
    with pytest.raises(MHFFError, match="only those are compiled; leave out form='aoti'"):
        add_mhff_force(system, topology, artefact, head="molecules", form="aoti")
    add_mhff_force(system, topology, artefact, head="molecules", dtype="float64")
    atoms.calc = MHFFCalculator("mini", head="molecules", dtype="float64", form="eager")
    expected = atoms.get_potential_energy(), atoms.get_forces()
    assert_same(read(start(system, atoms.positions)), expected, ENGINE_ENERGY, ENGINE_FORCE)


def test_float32_is_near_float64(model_file, ase_results):
    atoms = magnesia()
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="materials")
    assert_same(
        read(start(system, atoms.positions)),
        ase_results(atoms, "materials"),
        energy=1e-5,
        force=1e-3,
    )


@pytest.mark.parametrize("periodic", [False, True])
def test_periodicity_follows_the_topology_and_can_be_overruled(periodic, model_file, ase_results):
    atoms = magnesia()
    system, topology = system_of(atoms)
    force = add(system, topology, model_file, head="materials", dtype="float64", periodic=periodic)
    assert (
        system.usesPeriodicBoundaryConditions()
        == force.usesPeriodicBoundaryConditions()
        == periodic
    )
    atoms.pbc = periodic
    assert_same(read(start(system, atoms.positions)), ase_results(atoms, "materials"))


def test_periodic_if_the_system_is(model_file):
    atoms = waters(2)
    system, topology = system_of(atoms)
    nonbonded = openmm.NonbondedForce()
    nonbonded.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    for _ in atoms:
        nonbonded.addParticle(0, 1, 0)
    system.addForce(nonbonded)
    assert add(system, topology, model_file, head="molecules").usesPeriodicBoundaryConditions()


def test_molecules_may_be_cut_by_the_box_edge_and_positions_unwrapped(model_file, ase_results):
    atoms = waters(8, spacing=3.3)
    atoms.set_cell([6.6, 6.6, 6.6])
    atoms.pbc = True
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    expected = ase_results(atoms, "molecules")
    assert_same(read(start(system, atoms.get_positions(wrap=True))), expected)
    strewn = atoms.positions + 6.6 * np.random.default_rng(0).integers(-5, 6, (len(atoms), 3))
    assert_same(read(start(system, strewn)), expected)


def test_works_where_the_caller_forbids_gradients(model_file, ase_results):
    import torch

    atoms = waters(2)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    expected = ase_results(atoms, "molecules")
    for forbid in (torch.no_grad, torch.inference_mode):
        with forbid():
            assert_same(read(start(copy.deepcopy(system), atoms.positions)), expected)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_fragments_far_apart_are_the_sum_of_the_parts(platform, model_file, ase_results):
    parts = [waters(1), waters(1, seed=2)]
    parts[1].translate([1500, 1500, 0])
    whole = parts[0] + parts[1]
    system, topology = system_of(whole)
    add(system, topology, model_file, head="molecules", dtype="float64")
    (energy, forces), (other_energy, other_forces) = (
        ase_results(part, "molecules") for part in parts
    )
    expected = energy + other_energy, np.vstack([forces, other_forces])
    assert_same(ase_results(whole, "molecules"), expected)
    assert_same(read(start(system, whole.positions, platform)), expected)
