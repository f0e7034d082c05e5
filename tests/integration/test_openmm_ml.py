"""mhff as a potential of openmm-ml: how it is found, its options, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import openmm
import pytest
from openmm import app, unit
from openmm_runs import MIX, assert_same, read, start
from openmmml import MLPotential
from structures import magnesia, waters

from mhff import MHFFError
from mhff_openmm.systems import system_of


def potential(model: Any, **options: Any) -> MLPotential:
    """The potential of a model in float64, without compiling."""
    return MLPotential("mhff", modelPath=model, **{"form": "eager", "dtype": "float64"} | options)


IMPORTS = {
    "alone": "",
    "after our module": "import mhff_openmm.ml; ",
    "without torch": "sys.modules['torch'] = None; ",
    "with a broken mhff": "sys.modules['mhff'] = None; ",
}


@pytest.mark.parametrize("before", IMPORTS.values(), ids=IMPORTS)
def test_importing_openmmml_neither_fails_nor_loads_torch(before: str) -> None:
    code = f"import sys; {before}import openmmml; " + (
        "print('mhff' in openmmml.MLPotential._implFactories, bool(sys.modules.get('torch')), "
        "'mhff_openmm.force' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "True False False\n", result.stderr


def test_an_old_openmmml_is_refused() -> None:
    code = (
        "import sys; sys.modules['openmmml.embeddings.mechanicalembedding'] = None; "
        "import mhff_openmm.potential"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "MHFFError: MLPotential('mhff') needs openmm-ml 1.8 or newer (" in result.stderr
    assert result.stderr.endswith("); pip install --upgrade openmmml\n")


@pytest.mark.parametrize("structure", [lambda: waters(3), magnesia], ids=["cluster", "crystal"])
def test_a_system_equals_ase_and_its_head_changes_at_run_time(
    structure, model_file, ase_results
) -> None:
    atoms = structure()
    _, topology = system_of(atoms)
    system = potential(model_file).createSystem(topology, head="materials")
    assert system.usesPeriodicBoundaryConditions() == atoms.pbc.all()
    assert [type(force) for force in system.getForces()] == [
        openmm.PythonForce,
        openmm.CMMotionRemover,
    ]
    context = start(system, atoms.positions)
    assert_same(read(context), ase_results(atoms, "materials"))
    context.setParameter("mhff_head_materials", 0.25)
    context.setParameter("mhff_head_surfaces", 0.75)
    assert_same(read(context), ase_results(atoms, {"materials": 0.25, "surfaces": 0.75}))


def test_a_system_overrides_the_options_of_its_potential(model_file, ase_results) -> None:
    atoms = waters(3)
    _, topology = system_of(atoms)
    made = potential(model_file, head="surfaces", dtype="float32", skin=0.3)
    for options, head, tolerance in (
        ({"dtype": "float64"}, "surfaces", 1e-11),
        ({"head": MIX, "dtype": "float64"}, MIX, 1e-11),
        ({}, "surfaces", 1e-3),
    ):
        context = start(made.createSystem(topology, **options), atoms.positions)
        assert_same(read(context), ase_results(atoms, head), tolerance, tolerance)
    assert read(context)[0] != ase_results(atoms, "surfaces")[0]  # float32, the default


def test_options_reach_the_force(model_file) -> None:
    _, topology = system_of(magnesia())
    system = potential(model_file).createSystem(
        topology,
        removeCMMotion=False,
        head="materials",
        name="second",
        periodic=False,
        backend="python",
        device="cpu",
    )
    (force,) = system.getForces()
    assert force.getName() == "second"
    assert not force.usesPeriodicBoundaryConditions()
    assert set(force.getGlobalParameters()) == {
        f"second_head_{head}" for head in ("materials", "surfaces", "molecules")
    }
    for option, sentence in {
        "skin": "expected a skin of 0 A",
        "backend": "unknown backend",
    }.items():
        with pytest.raises(MHFFError, match=f"{sentence}.*-1"):
            potential(model_file, head="materials", **{option: -1}).createSystem(topology)


def test_charge_and_spin_reach_the_model(tmp_path) -> None:
    from models import random_model

    from mhff import MHFFCalculator

    path = tmp_path / "omol.mhff"
    random_model("omol").save(path)
    atoms = waters(1)
    _, topology = system_of(atoms)
    system = potential(path, spin=3).createSystem(topology, head="molecules", charge=1)
    atoms.info = {"charge": 1, "spin": 3}
    atoms.calc = MHFFCalculator(path, head="molecules", dtype="float64", form="eager")
    expected = atoms.get_potential_energy(), atoms.get_forces()
    assert_same(read(start(system, atoms.positions)), expected)


def test_molecular_dynamics_with_a_barostat_runs(model_file) -> None:
    atoms = magnesia()
    _, topology = system_of(atoms)
    system = potential(model_file).createSystem(topology, head="materials")
    system.addForce(openmm.MonteCarloBarostat(1 * unit.bar, 300, 5))
    integrator = openmm.LangevinMiddleIntegrator(300, 1, 0.001)
    context = start(system, atoms.positions, "CPU", integrator)
    context.setVelocitiesToTemperature(300, 1)
    integrator.step(20)
    volume = context.getState().getPeriodicBoxVolume().value_in_unit(unit.angstrom**3)
    assert volume == pytest.approx(atoms.get_volume(), rel=0.1)
    assert volume != pytest.approx(atoms.get_volume(), rel=1e-9)


@pytest.mark.parametrize("options", [{}, {"modelPath": None}, {"head": "materials"}])
def test_a_potential_without_a_model_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(MHFFError, match="does not know which model to use; give modelPath="):
        MLPotential("mhff", **options)


UNKNOWN = {
    "haed": r"unknown option 'haed' \(did you mean 'head'\?\)",
    "spn": r"'spn' \(did you mean 'spin'\?\)",
    "precision": r"'precision' \(did you mean 'dtype'\?\)",
    "multiplicity": r"'multiplicity' \(did you mean 'spin'\?\)",
    "model": r"'model' \(did you mean 'modelPath'\?\)",
    "nonbondedMethod": r"'nonbondedMethod': MLPotential\('mhff'\) takes modelPath, head, dtype, ",
    "mlLongRange": r"'mlLongRange': MLPotential",
    "linkAtomDistances": r"'linkAtomDistances'",
    "atoms": r"'atoms'",
    "forceGroup": r"'forceGroup'",
    "topology": r"'topology'",
}


@pytest.mark.parametrize(("option", "sentence"), UNKNOWN.items(), ids=UNKNOWN)
def test_unknown_options_are_refused_with_the_nearest_one(option, sentence, model_file) -> None:
    _, topology = system_of(waters(1))
    with pytest.raises(MHFFError, match=sentence):
        MLPotential("mhff", modelPath=model_file, **{option: 1})
    made = potential(model_file, head="molecules")
    system, _ = system_of(waters(1))
    if option != "topology":
        with pytest.raises(MHFFError, match=sentence):
            made.createSystem(topology, **{option: 1})
    if option not in ("topology", "atoms", "forceGroup"):
        for interpolate in (False, True):
            with pytest.raises(MHFFError, match=sentence):
                made.createMixedSystem(
                    topology, system, [0, 1, 2], interpolate=interpolate, **{option: 1}
                )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"head": "omol"}, "unknown head 'omol': this model has the heads materials, "),
        ({"head": None}, "no head given: this model has the heads"),
        ({"modelPath": "nowhere.mhff"}, "no file 'nowhere.mhff': give a model file"),
        ({"charge": 1}, "this model has no total-charge input; remove charge=1"),
        ({"dtype": "double"}, "unknown dtype 'double': choose one of float32, float64"),
    ],
)
def test_values_are_refused_as_by_add_mhff_force(options, sentence, model_file) -> None:
    _, topology = system_of(waters(1))
    with pytest.raises(MHFFError, match=sentence):
        potential(model_file, head="molecules").createSystem(topology, **options)


def test_a_particle_that_is_no_atom_is_refused(model_file) -> None:
    _, topology = system_of(waters(1))
    topology.addAtom("M", None, next(topology.residues()))
    with pytest.raises(MHFFError, match=r"particle 3 \('M'\) has no element; leave it out "):
        potential(model_file, head="molecules").createSystem(topology)


def test_an_element_that_the_model_lacks_is_refused(model_file) -> None:
    topology = app.Topology()
    residue = topology.addResidue("HF", topology.addChain())
    for symbol in "HF":
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    with pytest.raises(MHFFError, match="this structure has F, but this model knows only H, C, "):
        potential(model_file, head="molecules").createSystem(topology)
