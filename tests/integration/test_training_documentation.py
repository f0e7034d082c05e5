"""docs/training.md: its commands take DFT outputs to LAMMPS, and what it says of ASE is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read, write
from command_line import output_of
from dft_outputs import SMEARING, write_cp2k, write_espresso, write_vasprun
from labelled import isolated_atoms, morse_frame, write_data
from lammps_runs import BIN, ENVIRONMENT, TIMEOUT
from tiny_run import MODEL, quiet
from tolerances import Tolerance, assert_close

from mhff.modelfile import load
from mhff.train.run import Run
from mhff.train.settings import read_settings

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / "examples" / "scratch"
PAGE = (ROOT / "docs" / "training.md").read_text()
WALKTHROUGH = PAGE[PAGE.index("## From DFT outputs") : PAGE.index("## The configuration")]
HEAD = "tight"
N_STEPS = 24
WRITTEN = Tolerance(1e-7, 1e-7)
"""Labels with the digits of an output."""
IN_SHORT = {"epochs: 20": "epochs: 1", "steps 10000": "steps 2"}


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    rng = np.random.default_rng(5)
    return [morse_frame(HEAD, rng) for _ in range(N_STEPS)]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory, frames: list[Atoms]) -> Path:
    """The folder `dft`: relaxations by VASP, one calculation by pw.x, a trajectory by CP2K."""
    folder = tmp_path_factory.mktemp("outputs") / "dft"
    for start in range(0, 16, 4):
        write_vasprun(folder / f"bulk/{start}/vasprun.xml", frames[start : start + 4])
    write_espresso(folder / "slabs/one.pwo", frames[16])
    write_cp2k(folder / "md", frames[17:])
    for atom in isolated_atoms(HEAD):
        atom.set_cell([12, 12, 12])
        atom.arrays["REF_forces"] = np.zeros((1, 3))
        write_vasprun(folder / f"isolated/{atom.symbols}/vasprun.xml", [atom])
    return folder


def collector() -> Any:
    """The module examples/scratch/collect.py."""
    found = spec_from_file_location("collect", SCRATCH / "collect.py")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_outputs_are_collected(outputs: Path, frames: list[Atoms]) -> None:
    """Positions, labels, units and kinds of structures of every program."""
    collected = list(collector().collect(outputs))
    atoms = [item for item in collected if item.info["config_type"] == "IsolatedAtom"]
    assert sorted(str(item.symbols) for item in atoms) == ["H", "O"]
    found = {round(item.info["REF_energy"], 5): item for item in collected}
    kinds = ["bulk"] * 16 + ["slabs"] + ["md"] * 7
    for frame, kind in zip(frames, kinds, strict=True):
        item = found[round(frame.info["REF_energy"], 5)]
        assert item.info["config_type"] == kind
        assert str(item.symbols) == str(frame.symbols)
        assert_close(item.cell[:], frame.cell[:], WRITTEN)
        assert_close(item.positions, frame.positions, WRITTEN)
        assert_close(item.info["REF_energy"], frame.info["REF_energy"], WRITTEN)
        assert_close(item.arrays["REF_forces"], frame.arrays["REF_forces"], WRITTEN)
        if kind != "md":
            assert_close(item.info["REF_stress"], frame.info["REF_stress"], WRITTEN)


def test_a_folder_without_outputs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRATCH / "collect.py", tmp_path, tmp_path / "data.extxyz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("no vasprun.xml, *.pwo, *-pos-1.xyz below ")
    assert not (tmp_path / "data.extxyz").exists()


def blocks(text: str, language: str = "yaml") -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> Iterator[str]:
    """The commands of the walk-through, in their order."""
    for line in WALKTHROUGH.splitlines():
        if re.match("    (python|mhff|cd|lmp) ", line):
            yield line.strip()


def in_short(text: str) -> str:
    for long, short in IN_SHORT.items():
        text = text.replace(long, short)
    return text


@pytest.mark.slow
def test_the_commands_lead_to_lammps(outputs: Path, frames: list[Atoms], tmp_path: Path) -> None:
    """As a new user types them, with one epoch and two steps of dynamics."""
    for long in IN_SHORT:
        assert long in WALKTHROUGH, f"the page no longer says {long}"
    shutil.copytree(outputs, tmp_path / "dft")
    shutil.copy(SCRATCH / "collect.py", tmp_path)
    (tmp_path / "config.yaml").write_text(in_short(blocks(WALKTHROUGH)[0]))
    molecules = read(ROOT / "data" / "molecules.extxyz", ":")
    write(tmp_path / "molecules.extxyz", [item for item in molecules if len(item) > 1][:24])
    write_data(tmp_path, HEAD, 4).rename(tmp_path / "more.extxyz")
    frame = frames[0]
    crystal = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True).repeat((2, 2, 2))
    write(tmp_path / "crystal.cif", crystal)
    script = "set -e\n" + "\n".join(map(in_short, commands()))
    assert script.count("\n") == 7
    path = f"{BIN}{os.pathsep}{ENVIRONMENT['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=os.environ | ENVIRONMENT | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    said = output_of(done)
    assert "26 structures in data.extxyz" in said
    assert "heads of the start model, before and after" in said
    assert said.count("Loop time") == 1
    for file in re.findall(r"\| (`[^|]*`) \| ", PAGE[PAGE.index("| in `run.out` |") :]):
        for name in re.findall(r"`([^`]*)`", file):
            assert (tmp_path / "run" / name.replace("NAME", "tuned")).is_file(), name
    heads = load(tmp_path / "run" / "tuned.mhff").heads
    assert heads.names == ("materials", "molecules", "surfaces", "pbe")


@pytest.mark.slow
def test_the_example_from_scratch(outputs: Path, tmp_path: Path) -> None:
    shutil.copy(SCRATCH / "config.yaml", tmp_path)
    write(tmp_path / "data.extxyz", list(collector().collect(outputs)), format="extxyz")
    settings = read_settings(tmp_path / "config.yaml")
    short = {"epochs": 1, "kernels": False}
    run = Run(settings.model_copy(update={"run": settings.run.model_copy(update=short)}))
    run.train(quiet())
    report = run.report()
    kinds = {item.config_type for each in report.after.values() for item in each}
    assert kinds == {"bulk", "slabs", "md"}
    assert load(run.model_file).heads[0].e0s_kind == "isolated"


def test_outputs_can_be_read_without_a_collector(outputs: Path, tmp_path: Path) -> None:
    """The free energy under ASE's name, from the files as they are."""
    (block,) = [each for each in blocks(PAGE) if "vasprun.xml" in each]
    shutil.copytree(outputs, tmp_path / "dft")
    content = {"model": MODEL, "run": {"kernels": False}, **yaml.safe_load(block)}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    (head,) = Run(read_settings(tmp_path / "config.yaml")).heads
    collected = [
        item.info["REF_energy"]
        for item in collector().collect(outputs)
        if item.info["config_type"] == "bulk"
    ]
    found = sorted(item.energy for item in head.structures)
    assert_close(found, sorted(collected), WRITTEN)
    assert all(item.stress is not None for item in head.structures)


def test_what_ase_does_to_names_of_labels(tmp_path: Path) -> None:
    """It takes `energy`, `forces` and `stress` for a calculator's results; other names stay."""
    atoms = Atoms("HO", positions=[[0, 0, 0], [0, 0, 1]], cell=[5, 5, 5], pbc=True)
    labels = {"energy": -1.0, "forces": np.ones((2, 3)), "stress": np.arange(6.0)}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    atoms.info["REF_energy"] = -2.0
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    assert re.search(r"\benergy=-1.0\b", (tmp_path / "a.xyz").read_text())
    again = read(tmp_path / "a.xyz")
    assert again.info == {"REF_energy": -2.0}
    assert "forces" not in again.arrays
    assert set(again.calc.results) == {"energy", "forces", "stress"}
    again.set_constraint(FixAtoms([0]))
    assert again.get_forces()[0].tolist() == [0, 0, 0]
    assert again.calc.results["forces"][0].tolist() == [1, 1, 1]


def test_the_energy_of_vasp_is_the_free_energy(outputs: Path) -> None:
    results = read(outputs / "bulk/0/vasprun.xml").calc.results
    assert results["energy"] - results["free_energy"] == pytest.approx(SMEARING)
