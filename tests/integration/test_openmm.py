"""mhff in real OpenMM against the ASE calculator: energies, forces, heads at run time,
trajectories, saved Systems.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import pytest
from ase import Atoms, build
from models import HEADS, random_model
from openmm import app, unit
from structures import (
    ELEMENTS,
    MGO_LATTICE,
    close_contacts,
    far_apart,
    one_atom,
    tiny_cell,
    triclinic,
    water_cluster,
)

from mhff import MHFFCalculator, MHFFError
from mhff.heads import Head, Heads
from mhff_deploy.compiling.cache import compiled
from mhff_openmm import add_mhff_force
from mhff_openmm.adapter import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV

ENERGY_TOLERANCE = 1e-9
"""eV per atom, between engines, float64."""
FORCE_TOLERANCE = 1e-8
"""eV/A, between engines, float64."""
SAME_PROGRAM = 1e-11
"""eV per atom and eV/A, where only the order of sums differs."""
DRIFT_TOLERANCE = 1e-5
"""eV per atom over 2 ps."""

MIX = {"materials": 0.25, "molecules": 0.75}
PLATFORMS = ("Reference", "CPU")
FORMS = ("aoti", "torchscript", "eager")


def waters(n: int, spacing: float = 3.0, seed: int = 1) -> Atoms:
    """Cluster of n molecules, turned at random, on a grid."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(n ** (1 / 3)))
    cluster = Atoms()
    for index in range(n):
        molecule = build.molecule("H2O")
        molecule.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        molecule.translate(spacing * np.array(np.unravel_index(index, (side, side, side))))
        cluster += molecule
    return cluster


def rattled(atoms: Atoms, by: float = 0.05) -> Atoms:
    atoms.rattle(by, seed=7)
    return atoms


def magnesia() -> Atoms:
    """64 atoms, periodic."""
    return rattled(build.bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True) * (2, 2, 2))


def adsorbate() -> Atoms:
    """CO on MgO(100), periodic in all directions as OpenMM has it, with a vacuum."""
    slab = build.surface(
        build.bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True),
        (1, 0, 0),
        2,
        vacuum=7.0,
        periodic=True,
    )
    slab = rattled(slab * (2, 2, 1))
    top = max((atom for atom in slab if atom.symbol == "Mg"), key=lambda atom: atom.z)
    return slab + Atoms("CO", positions=top.position + np.array([[0, 0, 2.4], [0.2, 0, 3.54]]))


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


def reduced(atoms: Atoms) -> Atoms:
    """The same structure with its box in OpenMM's reduced form (turned in space, other lattice
    vectors).
    """
    if not atoms.pbc.any():
        return atoms
    standard, rotation = atoms.cell.standard_form()
    box = app.internal.unitcell.reducePeriodicBoxVectors(np.asarray(standard[:]) * unit.angstrom)
    cell = np.array([list(row.value_in_unit(unit.angstrom)) for row in box])
    return Atoms(atoms.symbols, positions=atoms.positions @ rotation.T, cell=cell, pbc=True)


def to_openmm(atoms: Atoms) -> tuple[openmm.System, app.Topology]:
    system, topology = openmm.System(), app.Topology()
    residue = topology.addResidue("ALL", topology.addChain())
    for atom in atoms:
        topology.addAtom(atom.symbol, app.Element.getBySymbol(atom.symbol), residue)
        system.addParticle(atom.mass)
    if atoms.pbc.any():
        vectors = [openmm.Vec3(*row) for row in atoms.cell[:] / ANGSTROM_PER_NM] * unit.nanometer
        topology.setPeriodicBoxVectors(vectors)
        system.setDefaultPeriodicBoxVectors(*vectors)
    return system, topology


def add(
    system: openmm.System, topology: app.Topology, model: Path | str, **arguments: Any
) -> openmm.PythonForce:
    """`add_mhff_force` without compiling."""
    return add_mhff_force(system, topology, model, **{"form": "eager"} | arguments)


def start(
    system: openmm.System,
    positions: np.ndarray,
    platform: str = "Reference",
    integrator: openmm.Integrator | None = None,
) -> openmm.Context:
    """Context of a System at positions in A."""
    integrator = integrator or openmm.VerletIntegrator(0.0005)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    context.setPositions(positions / ANGSTROM_PER_NM)
    return context


def read(context: openmm.Context) -> tuple[float, np.ndarray]:
    """Energy, eV, and forces, eV/A."""
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    return energy / KJ_PER_MOL_PER_EV, forces / (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM)


def assert_same(
    got: tuple[float, np.ndarray],
    expected: tuple[float, np.ndarray],
    energy: float = SAME_PROGRAM,
    force: float = SAME_PROGRAM,
) -> None:
    assert abs(got[0] - expected[0]) <= energy * len(expected[1])
    assert np.abs(got[1] - expected[1]).max() <= force


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights; its molecules head was not trained on Mg."""
    model = random_model(l_max=2, correlation=2)
    trained = {"molecules": tuple(element for element in ELEMENTS if element != "Mg")}
    model.heads = Heads([Head(name=name, elements=trained.get(name, ELEMENTS)) for name in HEADS])
    path = tmp_path_factory.mktemp("model") / "random.mhff"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def ase_results(model_file: Path) -> Callable[..., tuple[float, np.ndarray]]:
    calculator = MHFFCalculator(model_file, head=HEADS[0], dtype="float64")

    def results(atoms: Atoms, head) -> tuple[float, np.ndarray]:  # type: ignore[no-untyped-def]
        atoms = atoms.copy()
        calculator.set_head(head)
        atoms.calc = calculator
        return atoms.get_potential_energy(), atoms.get_forces()

    return results


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_equals_ase_for_every_head_and_changes_head_at_run_time(structure, form):
    atoms = reduced(STRUCTURES[structure]())
    system, topology = to_openmm(atoms)
    add_mhff_force(system, topology, "mini", head=MIX, dtype="float64", form=form)
    contexts = [start(system, atoms.positions, platform) for platform in PLATFORMS]
    atoms.calc = MHFFCalculator("mini", head=MIX, dtype="float64")
    energies = set()
    for head in (MIX, *HEADS):
        weights = {head: 1.0} if isinstance(head, str) else head
        atoms.calc.set_head(head)
        expected = atoms.get_potential_energy(), atoms.get_forces()
        energies.add(expected[0])
        for context in contexts:
            for name in HEADS:
                context.setParameter(f"mhff_head_{name}", weights.get(name, 0.0))
            assert_same(read(context), expected, ENERGY_TOLERANCE, FORCE_TOLERANCE)
    assert len(energies) == 1 + len(HEADS)  # the heads differ, so the comparison means something


def test_takes_an_artefact():
    artefact = compiled("mini", dtype="float64", form="torchscript")
    atoms = waters(2)
    system, topology = to_openmm(atoms)
    with pytest.raises(MHFFError, match="no head given: this model has the heads"):
        add_mhff_force(system, topology, artefact, dtype="float64")
    add_mhff_force(system, topology, artefact, head="molecules", dtype="float64")
    atoms.calc = MHFFCalculator("mini", head="molecules", dtype="float64")
    expected = atoms.get_potential_energy(), atoms.get_forces()
    assert_same(read(start(system, atoms.positions)), expected, ENERGY_TOLERANCE, FORCE_TOLERANCE)


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


def test_head_changed_at_run_time_equals_fresh_start(model_file):
    atoms = waters(5)
    system, topology = to_openmm(atoms)
    add(system, topology, model_file, head="surfaces", dtype="float64")
    context = start(system, atoms.positions)
    context.getIntegrator().step(5)
    context.setParameter("mhff_head_surfaces", 0.0)
    context.setParameter("mhff_head_molecules", 1.0)
    positions = (
        context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    )
    fresh_system, _ = to_openmm(atoms)
    add(fresh_system, topology, model_file, head="molecules", dtype="float64")
    assert_same(read(context), read(start(fresh_system, positions)))


def test_weights_are_used_as_given(model_file, ase_results):
    atoms = waters(3)
    system, topology = to_openmm(atoms)
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
    system, topology = to_openmm(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    add(system, topology, model_file, head="surfaces", dtype="float64", name="other").setForceGroup(
        1
    )
    context = start(system, atoms.positions)
    context.setParameter("other_head_surfaces", 0.0)
    assert_same(read(context), ase_results(atoms, "molecules"))


def test_float32_is_near_float64(model_file, ase_results):
    atoms = magnesia()
    system, topology = to_openmm(atoms)
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
    system, topology = to_openmm(atoms)
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
    system, topology = to_openmm(atoms)
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
    system, topology = to_openmm(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    expected = ase_results(atoms, "molecules")
    assert_same(read(start(system, atoms.get_positions(wrap=True))), expected)
    strewn = atoms.positions + 6.6 * np.random.default_rng(0).integers(-5, 6, (len(atoms), 3))
    assert_same(read(start(system, strewn)), expected)


def test_subset_acts_on_its_atoms_only_in_any_order(model_file, ase_results):
    atoms = waters(5)
    system, topology = to_openmm(atoms)
    chosen = [8, 6, 7, 0, 1, 2]
    add(system, topology, model_file, head="molecules", atoms=iter(chosen), dtype="float64")
    energy, forces = read(start(system, atoms.positions))
    expected_energy, expected_forces = ase_results(atoms[chosen], "molecules")
    assert_same((energy, forces[chosen]), (expected_energy, expected_forces))
    assert not np.delete(forces, chosen, axis=0).any()


def test_subset_leaves_out_what_is_no_atom(model_file, ase_results):
    atoms = waters(2)
    system, topology = to_openmm(atoms)
    topology.addAtom("M", None, next(topology.residues()))
    system.addParticle(0.0)
    system.setVirtualSite(6, openmm.TwoParticleAverageSite(0, 1, 0.5, 0.5))
    add(system, topology, model_file, head="molecules", atoms=range(6), dtype="float64")
    energy, forces = read(start(system, np.vstack([atoms.positions, np.zeros(3)])))
    assert_same((energy, forces[:6]), ase_results(atoms, "molecules"))


BAROSTATS = {
    "isotropic": lambda: openmm.MonteCarloBarostat(1 * unit.bar, 2000, 4),
    "anisotropic": lambda: openmm.MonteCarloAnisotropicBarostat(
        openmm.Vec3(1, 1, 1) * unit.bar, 2000, True, True, True, 4
    ),
    "flexible": lambda: openmm.MonteCarloFlexibleBarostat(1 * unit.bar, 2000, 4),
}


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


def test_works_where_the_caller_forbids_gradients(model_file, ase_results):
    import torch

    atoms = waters(2)
    system, topology = to_openmm(atoms)
    add(system, topology, model_file, head="molecules", dtype="float64")
    expected = ase_results(atoms, "molecules")
    for forbid in (torch.no_grad, torch.inference_mode):
        with forbid():
            assert_same(read(start(copy.deepcopy(system), atoms.positions)), expected)


def test_copies_and_cv_forces(model_file, ase_results):
    atoms = waters(3)
    system, topology = to_openmm(atoms)
    force = add(system, topology, model_file, head="molecules", dtype="float64")
    expected = ase_results(atoms, "molecules")
    assert_same(read(start(copy.deepcopy(system), atoms.positions)), expected)
    scaled, _ = to_openmm(atoms)
    cv = openmm.CustomCVForce("scale * mhff")
    cv.addGlobalParameter("scale", 0.5)
    cv.addCollectiveVariable("mhff", copy.deepcopy(force))
    scaled.addForce(cv)
    context = start(scaled, atoms.positions)
    assert_same(read(context), (0.5 * expected[0], 0.5 * expected[1]))
    context.setParameter("mhff_head_molecules", 0.0)
    context.setParameter("mhff_head_surfaces", 1.0)
    energy, forces = ase_results(atoms, "surfaces")
    assert_same(read(context), (0.5 * energy, 0.5 * forces))


FRESH_PROCESS = """
import sys
import numpy as np, openmm
system = openmm.XmlSerializer.deserialize(open(sys.argv[1]).read())
assert "torch" not in sys.modules, "the model is loaded at the first call, not while a System is read"
context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
context.setPositions(np.load(sys.argv[2]))
state = context.getState(energy=True, forces=True)
np.savez(sys.argv[3], energy=state.getPotentialEnergy()._value, forces=state.getForces(asNumpy=True)._value)
"""


def run_fresh(
    system: openmm.System, positions: np.ndarray, folder: Path
) -> subprocess.CompletedProcess[str]:
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(folder / "positions.npy", positions / ANGSTROM_PER_NM)
    files = [str(folder / name) for name in ("system.xml", "positions.npy", "results.npz")]
    return subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS, *files],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


@pytest.mark.filterwarnings("ignore:head 'molecules' was not trained")
def test_saved_system_gives_the_same_in_a_fresh_process(model_file, tmp_path):
    atoms = reduced(triclinic())
    system, topology = to_openmm(atoms)
    force = add(
        system,
        topology,
        model_file,
        head=MIX,
        dtype="float64",
        atoms=range(1, len(atoms)),
        skin=0.5,
    )
    assert (
        len(openmm.XmlSerializer.serialize(force)) < 4000
    )  # what is saved names the model and does not hold it
    expected = start(system, atoms.positions).getState(energy=True, forces=True)
    result = run_fresh(system, atoms.positions, tmp_path)
    assert result.returncode == 0, result.stderr
    found = np.load(tmp_path / "results.npz")
    assert abs(found["energy"] - expected.getPotentialEnergy()._value) <= ENERGY_TOLERANCE
    assert (
        np.abs(found["forces"] - expected.getForces(asNumpy=True)._value).max() <= FORCE_TOLERANCE
    )


def test_saved_system_refuses_another_model_in_the_old_place(model_file, tmp_path):
    moved = tmp_path / "moved.mhff"
    moved.write_bytes(model_file.read_bytes())
    atoms = waters(1)
    system, topology = to_openmm(atoms)
    add(system, topology, moved, head="molecules")
    moved.write_bytes(b"other")
    result = run_fresh(system, atoms.positions, tmp_path)
    assert result.returncode == 1
    assert (
        f"'{moved}' has changed since this OpenMM System was made with it; put the old file back"
        in result.stderr
    )
    moved.unlink()
    assert f"no file '{moved}'" in run_fresh(system, atoms.positions, tmp_path).stderr


def test_step_that_blows_up_is_told_in_one_sentence(model_file):
    atoms = waters(1)
    system, topology = to_openmm(atoms)
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


def test_warns_once_of_elements_a_head_was_not_trained_on(model_file, recwarn):
    atoms = Atoms("MgO", positions=[[0, 0, 0], [0, 0, 1.8]])
    system, topology = to_openmm(atoms)
    add(system, topology, model_file, head="materials")
    context = start(system, atoms.positions)
    read(context)
    assert not recwarn.list
    for weight in (0.5, 1.0, 0.0, 1.0):
        context.setParameter("mhff_head_molecules", weight)
        read(context)
    assert [str(warning.message) for warning in recwarn.list] == [
        "head 'molecules' was not trained on Mg; its numbers there are an extrapolation"
    ]


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
            "atoms has the index 6, but this topology has the atoms 0 to 5; give indices among "
            "these",
        ),
        ({"atoms": [-1]}, "atoms has the index -1, but this topology has the atoms 0 to 5"),
        ({"atoms": [3, 1, 3]}, "atoms has the index 3 more than once; give each atom once"),
        ({"atoms": []}, "expected at least one atom for the mhff force, got none"),
        ({"atoms": [0.5]}, "atoms must be None or indices of atoms"),
        ({"atoms": 3}, "atoms must be None or indices of atoms"),
        ({"dtype": "float16"}, "unknown dtype 'float16': choose one of float32, float64"),
        ({"device": "gpu"}, "unknown device 'gpu': choose cpu or cuda"),
        ({"skin": -1.0}, "expected a skin of 0 A or more, got -1.0"),
        ({"form": "onnx"}, "unknown form 'onnx': choose one of aoti, torchscript, eager"),
        ({"model": "nowhere.mhff"}, "no file 'nowhere.mhff': give a model file"),
        ({"model": __file__, "form": None}, "is neither a model nor an artefact of mhff"),
        (
            {"model": __file__, "form": "aoti"},
            "is not a .mhff model file, and only those are compiled; leave out form",
        ),
    ],
)
def test_mistakes_are_told_in_one_sentence_and_leave_the_system_alone(
    arguments, sentence, model_file
):
    system, topology = to_openmm(waters(2))
    with pytest.raises(MHFFError) as caught:
        add(system, topology, **{"model": model_file, "head": "molecules"} | arguments)
    assert sentence in str(caught.value)
    assert system.getNumForces() == 0


def test_element_that_the_model_lacks(model_file):
    system, topology = to_openmm(Atoms("HF", positions=[[0, 0, 0], [0, 0, 1]]))
    with pytest.raises(
        MHFFError, match="this structure has F, but this model knows only H, C, N, O, Mg"
    ):
        add(system, topology, model_file, head="molecules")
    add(system, topology, model_file, head="molecules", atoms=[0])


def test_particles_that_are_no_atoms(model_file):
    system, topology = to_openmm(waters(1))
    topology.addAtom("M", None, next(topology.residues()))
    with pytest.raises(MHFFError, match="the topology has 4 atoms but the System has 3 particles"):
        add(system, topology, model_file, head="molecules")
    system.addParticle(0.0)
    with pytest.raises(
        MHFFError, match=r"particle 3 \('M'\) is without an element; leave it out with atoms="
    ):
        add(system, topology, model_file, head="molecules")
    system.setVirtualSite(3, openmm.TwoParticleAverageSite(0, 1, 0.5, 0.5))
    with pytest.raises(
        MHFFError, match=r"particle 3 \('M'\) is a virtual site; leave it out with atoms="
    ):
        add(system, topology, model_file, head="molecules")


def test_box_that_is_not_the_systems(model_file):
    atoms = magnesia()
    system, topology = to_openmm(atoms)
    system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in 2.0 * np.eye(3)))
    with pytest.raises(
        MHFFError,
        match=r"the topology's box vectors are .* nm, the System's .* nm; call system.setDefault",
    ):
        add(system, topology, model_file, head="materials")
    add(system, topology, model_file, head="materials", periodic=False)


def test_name_that_is_taken(model_file):
    system, topology = to_openmm(waters(1))
    add(system, topology, model_file, head="molecules")
    with pytest.raises(MHFFError, match="give this one another name, as name='mhff_2'"):
        add(system, topology, model_file, head="molecules")
