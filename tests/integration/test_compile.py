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
from mhff_deploy.artefact import read_manifest
from mhff_deploy.cache import compiled
from mhff_deploy.runtime import Package, load_kernels

CACHE_LINE = 64
"""Bytes."""
MHFF = Path(sys.executable).parent / "mhff"
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


def test_the_command_writes_a_file_for_lammps(tmp_path: Path) -> None:
    file = tmp_path / "mini.mliap"
    done = run(
        "compile", "mini", "--head", "surf", "--target", "lammps", "--form", "torchscript", "--elements", "Mg,O", "-o", file
    )
    assert done.returncode == 0, done.stderr
    assert "head surfaces of materials, molecules, surfaces; elements O, Mg; float32 on cpu" in done.stdout
    assert "largest errors against the eager float64 model" in done.stdout
    assert file.stat().st_size > 10_000


def test_the_command_writes_an_artefact_that_ase_runs(tmp_path: Path) -> None:
    file = tmp_path / "mini.pt"
    done = run("compile", "mini", "--head", "materials", "--target", "torchscript", "--dtype", "float64", "-o", file)
    assert done.returncode == 0, done.stderr
    assert read_manifest(file.read_bytes(), file).default_head == "materials"
    atoms = structures.rattled_bulk()
    atoms.calc = MHFFCalculator(file)
    energy = atoms.get_potential_energy()
    atoms.calc = MHFFCalculator("mini", head="materials")
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["mini", "--target", "aoti"], "no head given: this model has the heads materials, molecules, surfaces"),
        (["mini", "--target", "aoti", "--head", "m"], "head 'm' is ambiguous: it begins materials, molecules"),
        (["mini", "--target", "aoti", "--head", "dft"], "unknown head 'dft'"),
        (["mini", "--target", "gromacs", "--head", "surfaces"], "unknown target 'gromacs'"),
        (["mini", "--target", "aoti", "--head", "surfaces", "--elements", "Mg,Fe"], "this model has no element Fe"),
        (["mini", "--target", "aoti", "--head", "surfaces", "--dtype", "half"], "unknown dtype 'half'"),
        (["nowhere.mhff", "--target", "aoti", "--head", "surfaces"], "no file 'nowhere.mhff'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = run("compile", *arguments, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
