"""Which particles mhff acts on in OpenMM, and mistakes that are told in one sentence."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from ase import Atoms
from openmm import app
from openmm_runs import add, assert_same, read, start
from structures import magnesia, waters

from mhff import MHFFError
from mhff_openmm.adapter import ANGSTROM_PER_NM
from mhff_openmm.systems import system_of


def test_subset_acts_on_its_atoms_only_in_any_order(model_file, ase_results):
    atoms = waters(5)
    system, topology = system_of(atoms)
    chosen = [8, 6, 7, 0, 1, 2]
    add(system, topology, model_file, head="molecules", atoms=iter(chosen), dtype="float64")
    energy, forces = read(start(system, atoms.positions))
    expected_energy, expected_forces = ase_results(atoms[chosen], "molecules")
    assert_same((energy, forces[chosen]), (expected_energy, expected_forces))
    assert not np.delete(forces, chosen, axis=0).any()


def test_subset_leaves_out_what_is_no_atom(model_file, ase_results):
    atoms = waters(2)
    system, topology = system_of(atoms)
    topology.addAtom("M", None, next(topology.residues()))
    system.addParticle(0.0)
    system.setVirtualSite(6, openmm.TwoParticleAverageSite(0, 1, 0.5, 0.5))
    add(system, topology, model_file, head="molecules", atoms=range(6), dtype="float64")
    energy, forces = read(start(system, np.vstack([atoms.positions, np.zeros(3)])))
    assert_same((energy, forces[:6]), ase_results(atoms, "molecules"))


def test_step_that_blows_up_is_told_in_one_sentence(model_file):
    atoms = waters(1)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules")
    context = start(system, atoms.positions)
    context.setParameter("mhff_head_molecules", np.nan)
    with pytest.raises(
        openmm.OpenMMException,
        match=r"^expected finite numbers, got the energy nan eV .* time step$",
    ):
        context.getState(energy=True)
    context.setPositions(np.full((3, 3), np.nan))
    with pytest.raises(
        openmm.OpenMMException, match=r"^expected finite positions and cell, got NaN or infinity; "
    ):
        context.getState(energy=True)


def test_a_context_goes_on_after_an_error(model_file):
    """Positions that are not finite or coincide, heads that are not finite; then good ones."""
    atoms = waters(2)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    integrator = openmm.VerletIntegrator(0.0005)
    context = start(system, atoms.positions, integrator=integrator)
    expected = read(context)
    velocities = context.getState(velocities=True).getVelocities()
    coinciding = atoms.positions.copy()
    coinciding[1] = coinciding[0]
    for wrong in (np.full_like(coinciding, np.nan), coinciding, 1e200 * atoms.positions):
        context.setPositions(wrong / ANGSTROM_PER_NM)
        for fail in (lambda: context.getState(energy=True), lambda: integrator.step(1)):
            with pytest.raises(openmm.OpenMMException, match=r"^(expected|atoms \d+ and) "):
                fail()
        context.setPositions(atoms.positions / ANGSTROM_PER_NM)
        context.setVelocities(velocities)
        assert_same(read(context), expected)
    context.setParameter("mhff_head_molecules", np.inf)
    with pytest.raises(openmm.OpenMMException, match=r"^expected finite numbers"):
        integrator.step(1)
    context.setParameter("mhff_head_molecules", 1.0)
    context.setPositions(atoms.positions / ANGSTROM_PER_NM)
    assert_same(read(context), expected)


@pytest.mark.parametrize(
    ("time_step", "sentence"),
    [(1e60, "^expected positions up to 1e.100 A, got"), (1e200, "^expected finite positions")],
)
def test_an_exploding_step_is_told_in_one_sentence(time_step, sentence, model_file):
    atoms = waters(2)
    system, topology = system_of(atoms)
    add(system, topology, model_file, head="molecules")
    context = start(system, atoms.positions, integrator=openmm.VerletIntegrator(time_step))
    with pytest.raises(openmm.OpenMMException, match=sentence) as caught:
        context.getIntegrator().step(3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["heads", "cutoff"])
def test_an_unknown_keyword_is_refused_by_python(option, model_file):
    system, topology = system_of(waters(1))
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
        add(system, topology, model_file, **{option: "molecules"})
    assert system.getNumForces() == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"head": "omol"},
            "unknown head 'omol': this model has the heads materials, surfaces, molecules; choose "
            "one",
        ),
        ({"head": None}, "no head given: this model has the heads materials, surfaces, molecules"),
        ({"head": {"materials": 0.5}}, "the weights of a head mix must sum to 1"),
        (
            {"atoms": [0, 6]},
            "atoms contains the index 6, but this topology has the atoms 0 to 5",
        ),
        ({"atoms": [-1]}, "atoms contains the index -1, but this topology has the atoms 0 to 5"),
        ({"atoms": [3, 1, 3]}, "atoms contains the index 3 more than once; give each atom once"),
        ({"atoms": []}, "expected at least one atom for the mhff force, got none"),
        ({"atoms": [0.5]}, "atoms must be None or indices of atoms"),
        ({"atoms": 3}, "atoms must be None or indices of atoms"),
        ({"dtype": "float16"}, "unknown dtype 'float16': choose one of float32, float64"),
        ({"device": "gpu"}, "unknown device 'gpu': choose cpu or cuda"),
        ({"periodic": "no"}, "expected True, False or None as periodic, got 'no'; leave it out"),
        ({"name": 3}, "expected a name for the force, got 3; give a text such as name='mhff'"),
        ({"name": ""}, "expected a name for the force, got ''; give a text such as name='mhff'"),
        ({"skin": -1.0}, "expected a skin of 0 A or more, got -1.0"),
        ({"form": "onnx"}, "unknown form 'onnx': choose one of eager, aoti, torchscript"),
        ({"model": "nowhere.mhff"}, "no file 'nowhere.mhff': give a model file"),
        ({"model": __file__, "form": None}, "is not an mhff file; expected one of"),
    ],
)
def test_mistakes_are_told_in_one_sentence_and_leave_the_system_alone(
    arguments, sentence, model_file
):
    system, topology = system_of(waters(2))
    with pytest.raises(MHFFError) as caught:
        add(system, topology, **{"model": model_file, "head": "molecules"} | arguments)
    assert sentence in str(caught.value)
    assert system.getNumForces() == 0


def test_system_and_topology_in_the_wrong_order(model_file):
    system, topology = system_of(waters(1))
    with pytest.raises(MHFFError, match="expected an OpenMM System, got Topology; call add_mhff_f"):
        add(topology, system, model_file, head="molecules")
    with pytest.raises(MHFFError, match="expected an OpenMM Topology, got NoneType; call add_mhff"):
        add(system, None, model_file, head="molecules")


def test_element_that_the_model_lacks(model_file):
    system, topology = system_of(Atoms("HF", positions=[[0, 0, 0], [0, 0, 1]]))
    with pytest.raises(
        MHFFError, match="this structure has F, but this model knows only H, C, N, O, Mg"
    ):
        add(system, topology, model_file, head="molecules")
    add(system, topology, model_file, head="molecules", atoms=[0])


def test_particles_that_are_no_atoms(model_file):
    system, topology = system_of(waters(1))
    topology.addAtom("M", None, next(topology.residues()))
    with pytest.raises(MHFFError, match="the topology has 4 atoms but the System has 3 particles"):
        add(system, topology, model_file, head="molecules")
    system.addParticle(0.0)
    with pytest.raises(
        MHFFError, match=r"particle 3 \('M'\) has no element; leave it out with atoms="
    ):
        add(system, topology, model_file, head="molecules")
    system.setVirtualSite(3, openmm.TwoParticleAverageSite(0, 1, 0.5, 0.5))
    with pytest.raises(
        MHFFError, match=r"particle 3 \('M'\) is a virtual site; leave it out with atoms="
    ):
        add(system, topology, model_file, head="molecules")


def test_box_that_is_not_the_systems(model_file):
    atoms = magnesia()
    system, topology = system_of(atoms)
    system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in 2.0 * np.eye(3)))
    with pytest.raises(
        MHFFError,
        match=r"the topology's box vectors are .* nm, the System's .* nm; call system.setDefault",
    ):
        add(system, topology, model_file, head="materials")
    add(system, topology, model_file, head="materials", periodic=False)


def test_name_that_is_taken(model_file):
    system, topology = system_of(waters(1))
    add(system, topology, model_file, head="molecules")
    with pytest.raises(MHFFError, match="give this one another name, for example name='mhff_2'"):
        add(system, topology, model_file, head="molecules")


def test_deuterium_is_hydrogen(model_file, ase_results):
    atoms = waters(2)
    system, topology = system_of(atoms)
    for atom in list(topology.atoms())[1:3]:
        atom.element = app.element.deuterium
    add(system, topology, model_file, head="molecules", dtype="float64")
    assert_same(read(start(system, atoms.positions)), ase_results(atoms, "molecules"))


def test_atoms_that_coincide(model_file):
    crystal = magnesia()
    crystal += Atoms("O", positions=[crystal.positions[1] + crystal.cell[0]])
    system, topology = system_of(crystal)
    add(system, topology, model_file, head="materials")
    with pytest.raises(
        openmm.OpenMMException,
        match=r"^atoms \d+ and \d+ \(or periodic images of them\) coincide: they are",
    ):
        read(start(system, crystal.positions))
