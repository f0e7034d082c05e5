"""The README's examples, run as they stand there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lammps_runs import LMP
from openmm import app, unit

from mhff import load
from mhff.options import CompileOptions, Form
from mhff_deploy.compiling.cache import compiled
from mhff_lammps.filekind import wrap
from mhff_openmm.demo import water_ring
from mhff_openmm.systems import system_of

ROOT = Path(__file__).parents[2]
LONGEST_EXAMPLE = 15
"""Lines."""


def example(beginning: str) -> str:
    """The indented block after the paragraph that begins with these words."""
    lines = iter((ROOT / "README.md").read_text().splitlines())
    next(line for line in lines if line.startswith(beginning))
    block = []
    for line in lines:
        if line.startswith("    ") or not line:
            block.append(line[4:])
        elif any(block):
            break
    return "\n".join(block).strip() + "\n"


@pytest.mark.parametrize("beginning", ["LAMMPS, after", "OpenMM:", "ASE:"])
def test_examples_are_short(beginning: str) -> None:
    assert 3 < len(example(beginning).splitlines()) < LONGEST_EXAMPLE


def test_the_lammps_example_runs(tmp_path: Path) -> None:
    options = CompileOptions(head="surfaces", form=Form.TORCHSCRIPT)
    (tmp_path / "mini.mliap").write_bytes(wrap(compiled(load("mini"), options).read_bytes()))
    shutil.copy(ROOT / "examples" / "lammps" / "co-on-mgo.data", tmp_path)
    (tmp_path / "in.readme").write_text(
        example("LAMMPS, after").replace("run           100", "run 2")
    )
    done = subprocess.run(
        [LMP, "-in", "in.readme"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Loop time") == 2


def test_the_openmm_example_runs(tmp_path: Path) -> None:
    atoms = water_ring()
    with (tmp_path / "water.pdb").open("w") as stream:
        _, topology = system_of(atoms, "HOH", 3)
        app.PDBFile.writeFile(topology, atoms.positions * unit.angstrom, stream)
    script = example("OpenMM:").replace("simulation.step(1000)", "simulation.step(5)")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_ase_example_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", example("ASE:")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'materials': " in done.stdout
