"""TorchForce in simulations: copies, files, barostats, CustomCVForces, and what it refuses."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openmm
import pytest
from ase import Atoms
from openmm import app, unit
from openmm_runs import MIX, assert_same, read, reduced, start
from structures import magnesia, triclinic, waters

from mhff import MHFFError
from mhff_openmm import add_mhff_force, energy_derivative, head_energies, read_system
from mhff_openmm.adapter import ANGSTROM_PER_NM
from mhff_openmm.systems import system_of

System = Callable[..., openmm.System]
ROUNDING = 1e-12
"""Relative to the largest; the order of sums depends on where memory lies."""
Results = Callable[..., tuple[float, np.ndarray]]
FRESH_PROCESS = """
import sys
import numpy as np, openmm
from mhff_openmm import read_system
system = read_system(sys.argv[1])
reference = openmm.Platform.getPlatformByName("Reference")
context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
context.setPositions(np.load(sys.argv[2]))
state = context.getState(energy=True, forces=True)
energy = state.getPotentialEnergy()._value
np.savez(sys.argv[3], energy=energy, forces=state.getForces(asNumpy=True)._value)
"""
PLAIN_PROCESS = "import sys, torch, openmmtorch, openmm\n" + (
    "openmm.XmlSerializer.deserialize(open(sys.argv[1]).read())"
)


def liquid() -> Atoms:
    """Eight molecules of water in a periodic box."""
    atoms = waters(8, spacing=3.3)
    atoms.set_cell([9.0, 9.0, 9.0])
    atoms.pbc = True
    return atoms


@pytest.mark.parametrize("arguments", [{}, {"atoms": [3, 1, 0]}, {"skin": 0.0}])
def test_xml_in_a_fresh_process(arguments: dict, make_system: System, tmp_path: Path) -> None:
    atoms = reduced(triclinic())
    system = make_system(atoms, head=MIX, **arguments)
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(tmp_path / "positions.npy", atoms.positions / ANGSTROM_PER_NM)
    files = [str(tmp_path / name) for name in ("system.xml", "positions.npy", "results.npz")]
    command = [sys.executable, "-c", FRESH_PROCESS, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = start(system, atoms.positions).getState(energy=True, forces=True)
    found = np.load(files[2])
    assert found["energy"] == pytest.approx(expected.getPotentialEnergy()._value, rel=ROUNDING)
    forces = expected.getForces(asNumpy=True)._value
    np.testing.assert_allclose(found["forces"], forces, rtol=0, atol=ROUNDING * abs(forces).max())


def test_xml_read_without_us_is_refused_and_does_not_crash(
    make_system: System, tmp_path: Path
) -> None:
    path = tmp_path / "system.xml"
    path.write_text(openmm.XmlSerializer.serialize(make_system(waters(1))))
    command = [sys.executable, "-c", PLAIN_PROCESS, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Unknown builtin op: mhff_" in done.stderr


def test_another_torch_refuses_to_read(make_system: System, tmp_path: Path, monkeypatch) -> None:
    import torch

    path = tmp_path / "system.xml"
    path.write_text(openmm.XmlSerializer.serialize(make_system(waters(1))))
    monkeypatch.setattr(torch, "__version__", "2.10.0")
    with pytest.raises(MHFFError, match=r"was compiled with torch 2\.9\.1.*recompile it"):
        read_system(path)


def test_copies_and_cv_forces(make_system: System, ase_results: Results) -> None:
    atoms = waters(3)
    system = make_system(atoms)
    expected = ase_results(atoms, "molecules")
    assert_same(read(start(copy.deepcopy(system), atoms.positions)), expected)
    scaled, _ = system_of(atoms)
    cv = openmm.CustomCVForce("scale * mhff")
    cv.addGlobalParameter("scale", 0.5)
    cv.addCollectiveVariable("mhff", copy.deepcopy(system.getForce(0)))
    scaled.addForce(cv)
    context = start(scaled, atoms.positions)
    assert_same(read(context), (0.5 * expected[0], 0.5 * expected[1]))
    context.setParameter("mhff_head_molecules", 0.0)
    context.setParameter("mhff_head_surfaces", 1.0)
    energy, forces = ase_results(atoms, "surfaces")
    assert_same(read(context), (0.5 * energy, 0.5 * forces))


def test_contexts_have_lists_of_their_own(make_system: System, ase_results: Results) -> None:
    first, second = waters(3), waters(3, seed=5)
    system = make_system(first)
    contexts = [start(system, atoms.positions) for atoms in (first, second)]
    for _ in range(2):
        for context, atoms in zip(contexts, (first, second), strict=True):
            assert_same(read(context), ase_results(atoms, "molecules"))


def test_states_and_checkpoints(make_system: System, tmp_path: Path) -> None:
    atoms = waters(3)
    _, topology = system_of(atoms)
    system = make_system(atoms)
    reference = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, openmm.VerletIntegrator(5e-4), reference)
    simulation.context.setPositions(atoms.positions * unit.angstrom)
    simulation.context.setParameter("mhff_head_surfaces", 0.25)
    simulation.step(3)
    simulation.saveState(str(tmp_path / "state.xml"))
    simulation.saveCheckpoint(str(tmp_path / "state.chk"))
    expected = read(simulation.context)
    for name, load in (("state.xml", "loadState"), ("state.chk", "loadCheckpoint")):
        simulation.context.setParameter("mhff_head_surfaces", 0.0)
        simulation.step(3)
        getattr(simulation, load)(str(tmp_path / name))
        assert simulation.context.getParameter("mhff_head_surfaces") == 0.25
        assert_same(read(simulation.context), expected)


def test_minimiser_lowers_the_energy(make_system: System) -> None:
    atoms = waters(3)
    context = start(make_system(atoms, dtype="float32"), atoms.positions)
    before = read(context)[0]
    openmm.LocalEnergyMinimizer.minimize(context, 10, 5)
    assert read(context)[0] < before


@pytest.mark.parametrize("atoms", [liquid(), magnesia()], ids=["liquid", "magnesia"])
def test_a_barostat_changes_the_box(
    atoms: Atoms, make_system: System, ase_results: Results
) -> None:
    system = make_system(atoms)
    system.addForce(openmm.MonteCarloBarostat(1000 * unit.bar, 300, 2))
    integrator = openmm.LangevinMiddleIntegrator(300, 1.0, 2e-4)
    integrator.setRandomNumberSeed(1)
    context = start(system, atoms.positions, integrator=integrator)
    for _ in range(5):
        integrator.step(4)
        state = context.getState(positions=True)
        now = atoms.copy()
        now.set_cell(state.getPeriodicBoxVectors(asNumpy=True)._value * ANGSTROM_PER_NM)
        now.positions = state.getPositions(asNumpy=True)._value * ANGSTROM_PER_NM
        assert_same(read(context), ase_results(now, "molecules"), 1e-9, 1e-8)
    assert not np.allclose(now.cell[:], atoms.cell[:])


def test_theory_of_a_running_context(make_system: System, ase_results: Results) -> None:
    atoms = waters(3)
    context = start(make_system(atoms, path=("surfaces", "molecules")), atoms.positions)
    found = head_energies(context)
    for head in ("materials", "surfaces", "molecules"):
        expected = ase_results(atoms, head)[0] * 96.485
        assert found[head].value_in_unit(unit.kilojoule_per_mole) == pytest.approx(expected, 1e-5)
    difference = found["molecules"] - found["surfaces"]
    derivative = energy_derivative(context, "mhff_lambda")
    assert (derivative / difference) == pytest.approx(1, rel=1e-9)
    state = context.getState(parameterDerivatives=True)
    by_openmm = state.getEnergyParameterDerivatives()["mhff_lambda"]
    assert derivative._value == pytest.approx(by_openmm, rel=1e-9)


@pytest.mark.parametrize(
    ("move", "sentence"),
    [
        (np.nan, "expected finite positions and cell, got NaN or infinity; check the structure"),
        (0.0, "(or periodic images of them) coincide: they are 0. A apart; move or remove one"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_and_no_state_is_lost(
    move: float, sentence: str, make_system: System
) -> None:
    atoms = waters(2)
    context = start(make_system(atoms), atoms.positions)
    expected = read(context)
    broken = atoms.positions.copy()
    broken[1] = broken[0] + move
    context.setPositions(broken / ANGSTROM_PER_NM)
    with pytest.raises(openmm.OpenMMException) as caught:
        context.getState(energy=True)
    assert sentence in str(caught.value)
    context.setPositions(atoms.positions / ANGSTROM_PER_NM)
    assert_same(read(context), expected)


def test_auto_and_names(model_file: Path, make_system: System) -> None:
    system, topology = system_of(waters(1))
    force = add_mhff_force(system, topology, model_file, head="molecules", form="torchscript")
    assert type(force).__name__ == "TorchForce"
    with pytest.raises(MHFFError, match="already has a force with the parameters mhff_head_"):
        add_mhff_force(system, topology, model_file, head="molecules")
    eager = add_mhff_force(
        system, topology, model_file, head="molecules", form="eager", name="eager"
    )
    assert type(eager).__name__ == "PythonForce"
    with pytest.raises(MHFFError, match="cannot act on some particles only; install OpenMM 8"):
        make_system(waters(1), atoms=[0], backend="python")
    with pytest.raises(MHFFError, match="has no PythonTorchForce; install a newer one"):
        make_system(waters(1), backend="python-torch")
    with pytest.raises(MHFFError, match="it runs programs in the form torchscript, and this"):
        make_system(waters(1), form="aoti")
