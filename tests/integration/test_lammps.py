"""mhff in a real LAMMPS against the ASE calculator: numbers, heads at run time, NVE, examples."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from command_line import output_of, run_mhff
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
    primitive,
    read,
    record,
    run,
    run_python,
    start,
    turned,
)
from structures import magnesia, slab
from tolerances import NVE_DRIFT

from mhff.options import Form

HEADS = ("materials", "molecules", "surfaces")
FORMS = (Form.AOTI, Form.TORCHSCRIPT)
EXAMPLES = Path(__file__).parents[2] / "examples" / "lammps"


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, coupling: Coupling
) -> Callable[[str, str, Form], Result]:
    """LAMMPS' results by structure, head and form of the program, from one run per form."""

    @cache
    def measured(form: Form) -> Path:
        folder = folder_with_model(tmp_path_factory.mktemp(form), form)
        (folder / "mini.mliap").rename(folder / "any.name")
        text = "\n".join(measure_every_head(folder, name) for name in STRUCTURES)
        output_of(run(folder, text, coupling=coupling))
        return folder

    return lambda name, head, form: read(measured(form), f"{name}-{head}")


def measure_every_head(folder: Path, name: str) -> str:
    commands = [
        "clear",
        start(folder, name, STRUCTURES[name]()),
        "pair_style mliap unified any.name 0",
    ]
    for head in HEADS:
        commands += [
            f"pair_coeff * * {labels(head)}",
            MEASURE if head == HEADS[0] else "",
            record(f"{name}-{head}"),
        ]
    return "\n".join(commands)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_equals_ase(
    results: Callable[[str, str, Form], Result], name: str, head: str, form: Form
) -> None:
    atoms = STRUCTURES[name]()
    got = results(name, head, form)
    assert_same(got, ase_result(atoms, head))
    # stress per atom adds up to the pressure
    total = -got.atomic_stress.sum(0) / atoms.get_volume()
    np.testing.assert_allclose(
        total, got.pressure, rtol=1e-9, atol=1e-9 * (1 + np.abs(got.pressure).max())
    )
    # the heads differ, so the comparison means something
    others = [results(name, other, form).energy for other in HEADS if other != head]
    assert all(abs(got.energy - other) > 1e-3 for other in others)


PER_TYPE = {"H": "molecules", "C": "molecules", "N": "surfaces", "O": "surfaces", "Mg": "materials"}


@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_head_per_type_and_changed_between_runs_equals_a_fresh_start(
    lammps_folder: Path, coupling: Coupling
) -> None:
    folder = lammps_folder
    per_type = " ".join(f"{element}@{head}" for element, head in PER_TYPE.items())
    first = f"""
        {start(folder, "slab", turned(slab()))}
        pair_style mliap unified mini.mliap 0
        pair_coeff * * {labels("surfaces")}
        velocity all create 300 1
        timestep 0.001
        fix move all nve
        run 3
        pair_coeff * * {per_type}
        {MEASURE}
        {record("changed")}
        write_data moved.data nocoeff
        clear
        units metal
        boundary p p f
        read_data moved.data
        velocity all set 0 0 0
        pair_style mliap unified mini.mliap 0
        pair_coeff * * {per_type}
        {MEASURE}
        {record("fresh")}
        write_dump all custom positions id x y z modify sort id format float %.17g
    """
    output_of(run(folder, first, coupling=coupling))
    changed = read(folder, "changed")
    fresh = read(folder, "fresh")
    assert_same(changed._replace(pressure=fresh.pressure), fresh)  # moving atoms have another one
    atoms = turned(slab())
    atoms.positions = np.loadtxt(folder / "positions", skiprows=9)[:, 1:]
    atoms.arrays["mhff_head"] = np.array([PER_TYPE[symbol] for symbol in atoms.symbols])
    assert_same(fresh, ase_result(atoms))


@pytest.mark.slow
def test_bulk_conserves_its_energy(tmp_path: Path, coupling: Coupling) -> None:
    folder = folder_with_model(tmp_path, Form.AOTI)
    atoms = magnesia(rattle=0.0)
    text = f"""
        {start(folder, "bulk", atoms)}
        pair_style mliap unified mini.mliap 0
        pair_coeff * * {labels("materials")}
        velocity all create 600 1 mom yes rot yes
        timestep 0.001
        fix move all nve
        variable time equal time
        variable total equal etotal/atoms
        variable printed format total %.15g
        fix out all print 10 "${{time}} ${{printed}}" file energies screen no
        thermo 100
        run 2000
    """
    output_of(run(folder, text, coupling=coupling))
    times, energies = np.loadtxt(folder / "energies").T
    assert times[-1] == pytest.approx(2.0)
    slope = np.polyfit(times, energies, 1)[0]
    assert abs(slope * times[-1]) < NVE_DRIFT


def test_atoms_with_null_labels_take_no_part(lammps_folder: Path, coupling: Coupling) -> None:
    """Under hybrid/overlay; the atoms of type N sit among the others."""
    folder = lammps_folder
    atoms = magnesia()
    ours = atoms.copy()
    atoms += Atoms("N2", positions=[[1.0, 1.1, 1.2], [5.2, 3.1, 3.0]])
    order = np.random.default_rng(0).permutation(len(atoms))
    text = f"""
        {start(folder, "mixed", atoms[order])}
        pair_style hybrid/overlay mliap unified mini.mliap 0 zero 6.0
        pair_coeff * * mliap H@materials C@materials NULL O@materials Mg@materials
        pair_coeff * * zero
        {MEASURE}
        {record("mixed")}
    """
    output_of(run(folder, text, coupling=coupling))
    got, back = read(folder, "mixed"), np.argsort(order)
    expected = ase_result(ours, "materials")
    subset = [field[back][: len(ours)] for field in (got.forces, got.energies)]
    assert_same(Result(got.energy, *subset, got.pressure, got.atomic_stress), expected)
    assert not got.forces[back][len(ours) :].any()
    assert not got.energies[back][len(ours) :].any()


@pytest.fixture(scope="module")
def command_line_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, with a file compiled for the start of a head's name and fewer elements."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    options = (
        "--head surf --elements Mg,O,C --target lammps --form torchscript --dtype float64 "
        "-o mini.mliap"
    )
    output_of(run_mhff("compile", "mini", *options.split(), folder=folder))
    return folder


def test_compiled_file_has_its_default_head(command_line_folder: Path, coupling: Coupling) -> None:
    coeff = "pair_coeff * * O O O O Mg\n"
    text = start(command_line_folder, "a", primitive()) + PAIR + coeff + MEASURE + record("default")
    output = output_of(run(command_line_folder, text, coupling=coupling))
    assert "mhff: elements C O Mg; heads materials molecules surfaces (default surfaces)" in output
    assert_same(read(command_line_folder, "default"), ase_result(primitive(), "surfaces"))
    assert output.count("compute heat/flux is wrong for a many-body model") == 1


@pytest.mark.parametrize("name", ["in.bulk", "in.co-on-mgo"])
def test_examples_run(command_line_folder: Path, name: str, coupling: Coupling) -> None:
    text = (command_line_folder / name).read_text()
    output = output_of(
        run(command_line_folder, f"variable steps index 3\n{text}", coupling=coupling)
    )
    assert "ERROR" not in output
    assert "heat/flux" not in output  # only where virials per atom are asked for


@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_python_example_prints_every_heads_energy(
    command_line_folder: Path, coupling: Coupling
) -> None:
    atoms = ase.io.read(
        command_line_folder / "co-on-mgo.data",
        format="lammps-data",
        units="metal",
        atom_style="atomic",
    )
    output = output_of(
        run_python(
            command_line_folder, (command_line_folder / "heads.py").read_text(), coupling=coupling
        )
    )
    rows = [line.split() for line in output.splitlines() if line.endswith("eV")]
    assert [name for name, *_ in rows] == list(HEADS)
    printed = [float(energy) for _, energy, _ in rows]
    assert printed == pytest.approx([ase_result(atoms, head).energy for head in HEADS], abs=1e-6)
