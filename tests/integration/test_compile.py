"""The command `mhff compile`, and AOTInductor packages of the bundled model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import structures
import torch
from models import random_model
from tolerances import ROUNDING, SINGLE_PRECISION, assert_close, assert_close_to_scale

from mhff import MHFFCalculator
from mhff.atoms import graph_from_atoms
from mhff.opening import open_evaluator
from mhff_deploy.artefact.content import read_manifest
from mhff_deploy.artefact.runtime import Package, load_kernels
from mhff_deploy.compiling.cache import compiled

CACHE_LINE = 64
"""Bytes."""
MHFF = Path(sys.executable).parent / "mhff"
LONGEST = 300
"""Seconds that a program with threads may take on a busy machine."""
THREADS = """
import sys, threading, torch
from ase.build import bulk
from mhff.opening import open_evaluator
from mhff.atoms import graph_from_atoms
evaluator = open_evaluator(sys.argv[1])
graph = graph_from_atoms(bulk("MgO", "rocksalt", a=4.21, cubic=True), evaluator.capabilities.elements, evaluator.capabilities.r_max)
weights = torch.ones(8, len(evaluator.capabilities.heads), dtype=torch.float64)
evaluate = lambda: evaluator.evaluate(graph, weights)[1]
expected, found = evaluate(), []
threads = [threading.Thread(target=lambda: found.append([evaluate() for _ in range(50)])) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for results in found: print("same" if all(torch.equal(x, expected) for x in results) else "other")
"""
STRUCTURES = (
    structures.rattled_bulk,
    structures.triclinic,
    structures.tiny_cell,
    structures.slab,
    structures.water_cluster,
    structures.far_apart,
    structures.one_atom,
)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([MHFF, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("head", ["materials", "surfaces", "molecules"])
@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_an_aoti_package_equals_the_eager_model(head: str) -> None:
    package = compiled("mini", dtype="float64", form="aoti")
    for make in STRUCTURES:
        atoms = make()
        numbers = []
        for source in ("mini", package):
            atoms.calc = MHFFCalculator(source, head=head)
            numbers.append((atoms.get_potential_energies(), atoms.get_forces()))
        for expected, got in zip(*numbers, strict=True):
            assert_close(got, expected, ROUNDING)


def test_the_mace_mh_1_architecture_in_an_aoti_package() -> None:
    model = random_model("mh1")
    package = compiled(model, dtype="float64", form="aoti")
    for make in STRUCTURES:
        atoms = make()
        numbers = []
        for source in (model, package):
            atoms.calc = MHFFCalculator(source, head={"materials": 0.3, "surfaces": 0.7})
            numbers.append((atoms.get_potential_energies(), atoms.get_forces()))
        for expected, got in zip(*numbers, strict=True):
            assert_close(got, expected, ROUNDING)


def test_a_float32_package_agrees_to_its_precision() -> None:
    package = compiled("mini", dtype="float32", form="aoti")
    atoms = structures.rattled_bulk()
    forces = []
    for source in ("mini", package):
        atoms.calc = MHFFCalculator(source, head="materials")
        forces.append(atoms.get_forces())
    assert_close_to_scale(forces[1], forces[0], SINGLE_PRECISION)


def test_a_packages_constants_begin_at_cache_lines() -> None:
    """Where vectors lie across two, kernels lose a fourth of their speed, by the luck of `malloc`."""
    content = Path(compiled("mini", dtype="float32", form="aoti")).read_bytes()
    load_kernels(content, read_manifest(content, "mini").kernels)
    constants = Package(content, torch.device("cpu")).constants
    assert constants
    assert all(constant.data_ptr() % CACHE_LINE == 0 for constant in constants.values())


def test_a_package_uses_torchs_threads_and_gives_the_same_in_every_run() -> None:
    """Loops that AOTInductor makes would add to sums in any order, were sums over edges not
    kernels.
    """
    evaluator = open_evaluator(compiled("mini", dtype="float32", form="aoti"))
    graph = graph_from_atoms(
        structures.rattled_bulk().repeat(3),
        evaluator.capabilities.elements,
        evaluator.capabilities.r_max,
    )
    weights = torch.ones(graph.n_local, len(evaluator.capabilities.heads), dtype=torch.float64)
    arguments = (graph.edge_vectors, graph.edge_index, graph.species, weights)
    alone = evaluator.evaluate(*arguments)
    torch.set_num_threads(2)
    try:
        first = evaluator.evaluate(*arguments)
        others = [evaluator.evaluate(*arguments) for _ in range(30)]
    finally:
        torch.set_num_threads(1)
    for results in others:
        assert all(
            torch.equal(found, expected) for found, expected in zip(results, first, strict=True)
        )
    for found, expected in zip(first, alone, strict=True):
        assert_close_to_scale(found.double(), expected.double(), SINGLE_PRECISION)


def test_two_threads_take_turns() -> None:
    """AOTInductor lets a second thread wait with Python's lock, for ever."""
    command = [sys.executable, "-c", THREADS, str(compiled("mini", dtype="float32", form="aoti"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST)
    assert done.stdout.split() == ["same"] * 8, done.stderr


def test_a_compiler_that_fails_is_one_sentence(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "TMPDIR": "/tmp"}
    (tmp_path / "g++").write_text("#!/bin/sh\necho 'cc1: fatal error: no such thing' >&2\nexit 3\n")
    (tmp_path / "g++").chmod(0o755)
    command = [
        MHFF,
        "compile",
        "mini",
        "--head",
        "surfaces",
        "--target",
        "aoti",
        "--table-error",
        "0",
        "-o",
        tmp_path / "a.pt2",
    ]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 2
    assert "no such thing" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_writes_a_file_for_lammps(tmp_path: Path) -> None:
    file = tmp_path / "mini.mliap"
    done = run(
        "compile",
        "mini",
        "--head",
        "surf",
        "--target",
        "lammps",
        "--form",
        "torchscript",
        "--elements",
        "Mg,O",
        "-o",
        file,
    )
    assert done.returncode == 0, done.stderr
    assert (
        "head surfaces of materials, molecules, surfaces; elements O, Mg; float32 on cpu"
        in done.stdout
    )
    assert "largest errors against the eager float64 model" in done.stdout
    assert file.stat().st_size > 10_000


def test_the_command_writes_an_artefact_that_ase_runs(tmp_path: Path) -> None:
    file = tmp_path / "mini.pt"
    done = run(
        "compile",
        "mini",
        "--head",
        "materials",
        "--target",
        "torchscript",
        "--dtype",
        "float64",
        "-o",
        file,
    )
    assert done.returncode == 0, done.stderr
    assert read_manifest(file.read_bytes(), file).default_head == "materials"
    atoms = structures.rattled_bulk()
    atoms.calc = MHFFCalculator(file)
    energy = atoms.get_potential_energy()
    atoms.calc = MHFFCalculator("mini", head="materials", form="eager")
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["mini", "--target", "aoti"],
            "no head given: this model has the heads materials, molecules, surfaces",
        ),
        (
            ["mini", "--target", "aoti", "--head", "m"],
            "head 'm' is ambiguous: it begins materials, molecules",
        ),
        (["mini", "--target", "aoti", "--head", "dft"], "unknown head 'dft'"),
        (["mini", "--target", "gromacs", "--head", "surfaces"], "unknown target 'gromacs'"),
        (
            ["mini", "--target", "aoti", "--head", "surfaces", "--elements", "Mg,Fe"],
            "this model has no element Fe",
        ),
        (
            ["mini", "--target", "aoti", "--head", "surfaces", "--dtype", "half"],
            "unknown dtype 'half'",
        ),
        (
            ["mini", "--target", "aoti", "--head", "surfaces", "-o", "/"],
            "expected the name of a file to write, got the folder '/'",
        ),
        (
            ["mini", "--target", "aoti", "--head", "surfaces", "-o", ""],
            "expected the name of a file to write, got nothing",
        ),
        (["nowhere.mhff", "--target", "aoti", "--head", "surfaces"], "no file 'nowhere.mhff'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    done = run("compile", "-o", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
