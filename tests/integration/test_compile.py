"""The command `mhff compile`, and AOTInductor packages of the bundled model."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import structures
import torch
from calculators import assert_program_gives_the_models_numbers, exact
from command_line import Here, output_of, refusal_of, run_mhff
from models import random_model, tiny_model
from programs import cached
from threads import threads
from tolerances import OF_TABLES, ROUNDING, SINGLE_PRECISION, assert_close, assert_close_to_scale

from mhff import MHFFCalculator, opening
from mhff.atoms import graph_from_atoms
from mhff.opening import open_evaluator, read_capabilities
from mhff.ops.lists import REFERENCE
from mhff_deploy.artefact.content import read_manifest
from mhff_deploy.artefact.programs import Package, parts_of, start_program
from mhff_deploy.artefact.threads import Threads

CACHE_LINE = 64
"""Bytes."""
MAX_SECONDS = 300
"""For a program with threads on a busy machine."""
THREADS = """
import sys, threading, torch
from ase.build import bulk
from mhff.opening import open_evaluator
from mhff.atoms import graph_from_atoms
evaluator = open_evaluator(sys.argv[1])
can = evaluator.capabilities
graph = graph_from_atoms(bulk("MgO", "rocksalt", a=4.21, cubic=True), can.elements, can.r_max)
weights = torch.ones(8, len(can.heads), dtype=torch.float64)
evaluate = lambda: evaluator.evaluate(graph, weights)[1]
expected, found = evaluate(), []
work = lambda: found.append([evaluate() for _ in range(50)])
threads = [threading.Thread(target=work) for _ in range(8)]
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


@pytest.mark.parametrize("head", ["materials", "surfaces", "molecules"])
@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_an_aoti_package_equals_the_eager_model(head: str) -> None:
    package = cached("mini", precision="float64", form="aoti")
    assert_program_gives_the_models_numbers(package, "mini", head, STRUCTURES, OF_TABLES)


def test_the_mace_mh_1_architecture_in_an_aoti_package() -> None:
    model = random_model("mh1")
    package = cached(model, precision="float64", form="aoti")
    mix = {"materials": 0.3, "surfaces": 0.7}
    assert_program_gives_the_models_numbers(package, model, mix, STRUCTURES)


def test_a_float32_package_agrees_to_its_precision() -> None:
    atoms = structures.rattled_bulk()
    calc = MHFFCalculator(cached("mini", precision="float32", form="aoti"), head="materials")
    reference = exact("mini", "materials")
    for name in ("forces", "stress"):
        expected = reference.get_property(name, atoms)
        assert_close_to_scale(calc.get_property(name, atoms), expected, SINGLE_PRECISION)


def test_a_calculator_with_kernels_is_copied_and_sent() -> None:
    atoms = structures.rattled_bulk()
    calc = MHFFCalculator("mini", head="materials", form="aoti")
    calc.get_property("forces", atoms)
    atoms.positions[0, 0] += 0.01
    forces = calc.get_property("forces", atoms)
    assert calc.neighbours.operators is not REFERENCE
    for copied in (copy.deepcopy(calc), pickle.loads(pickle.dumps(calc))):
        copied.reset()
        assert_close(copied.get_property("forces", atoms), forces, ROUNDING)


@pytest.mark.slow
def test_a_calculator_compiles_once_into_the_users_cache_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(opening, "EAGER_WORK", 1)
    model = tiny_model()
    reference = exact(model, "surfaces")
    for said in ([opening.COMPILING], []):
        calculator = MHFFCalculator(model, head="surfaces")
        for step in range(3):
            atoms = structures.rattled_bulk()
            atoms.rattle(0.01, seed=step)
            found = calculator.get_property("forces", atoms)
            assert_close(found, reference.get_property("forces", atoms), ROUNDING)
        assert [record.getMessage() for record in caplog.records if record.name == "mhff"] == said
        assert len(list((tmp_path / "mhff" / "artefacts").iterdir())) == 1
        caplog.clear()


def test_a_packages_constants_begin_at_cache_lines() -> None:
    """Where vectors lie across two, kernels lose a quarter of their speed, by luck."""
    content = cached("mini", precision="float32", form="aoti").read_bytes()
    manifest = read_manifest(content, "mini")
    program = start_program(parts_of(content, manifest), manifest, "mini")
    assert isinstance(program, Package)
    assert program.constants
    assert all(constant.data_ptr() % CACHE_LINE == 0 for constant in program.constants.values())


def test_a_package_gives_the_same_numbers_in_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops of AOTInductor would add in any order; so sums over edges are kernels.

    The numbers are those of a number of threads, which programs choose by the time they take.
    """
    monkeypatch.setattr(Threads, "for_pairs", lambda self, n_pairs: nullcontext())
    evaluator = open_evaluator(cached("mini", precision="float32", form="aoti"))
    known = evaluator.capabilities
    graph = graph_from_atoms(structures.rattled_bulk().repeat(3), known.elements, known.r_max)
    weights = torch.ones(graph.n_local, len(known.heads), dtype=torch.float64)
    alone = evaluator.evaluate(graph, weights)
    with threads(2):
        first = evaluator.evaluate(graph, weights)
        others = [evaluator.evaluate(graph, weights) for _ in range(30)]
    for results in others:
        for found, expected in zip(results, first, strict=True):
            assert torch.equal(found, expected)
    for found, expected in zip(first, alone, strict=True):
        assert_close_to_scale(found.double(), expected.double(), SINGLE_PRECISION)


def test_threads_take_turns() -> None:
    """AOTInductor lets a second thread wait with Python's lock, for ever."""
    program = cached("mini", precision="float32", form="aoti")
    command = [sys.executable, "-c", THREADS, str(program)]
    done = subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=MAX_SECONDS,
    )
    assert done.stdout.split() == ["same"] * 8, done.stderr


def test_a_compiler_that_fails_is_one_sentence(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "TMPDIR": "/tmp"}
    (tmp_path / "g++").write_text("#!/bin/sh\necho 'cc1: fatal error: no such thing' >&2\nexit 3\n")
    (tmp_path / "g++").chmod(0o755)
    arguments = [
        "compile",
        "mini",
        "--head",
        "surfaces",
        "--target",
        "aoti",
        "--table-error",
        "0",
        "-o",
    ]
    done = run_mhff(*arguments, tmp_path / "a.pt2", environment=environment)
    assert "no such thing" in refusal_of(done)


def test_the_command_writes_a_file_for_lammps(mhff: Here, tmp_path: Path) -> None:
    file = tmp_path / "mini.mliap"
    asked = [
        "--head",
        "surf",
        "--target",
        "lammps",
        "--form",
        "torchscript",
        "--elements",
        "Mg,O",
        "-o",
    ]
    said = output_of(mhff("compile", "mini", *asked, file))
    assert "head surfaces of materials, molecules, surfaces; elements O, Mg; float32 on cpu" in said
    assert "largest errors against the eager float64 model" in said
    able = read_capabilities(file)
    assert (able.default_head, able.elements) == ("surfaces", ("O", "Mg"))


def test_the_command_writes_an_artefact_that_ase_runs(mhff: Here, tmp_path: Path) -> None:
    file = tmp_path / "mini.pt"
    asked = ["--head", "materials", "--target", "torchscript", "--dtype", "float64", "-o"]
    output_of(mhff("compile", "mini", *asked, file))
    assert read_capabilities(file).default_head == "materials"
    atoms = structures.rattled_bulk()
    atoms.calc = MHFFCalculator(file)
    energy = atoms.get_potential_energy()
    atoms.calc = exact("mini", "materials")
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
            "head 'm' is ambiguous: it could be any of materials, molecules",
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
    mhff: Here, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    assert sentence in refusal_of(mhff("compile", "-o", tmp_path / "out", *arguments))
    assert not list(tmp_path.iterdir())
