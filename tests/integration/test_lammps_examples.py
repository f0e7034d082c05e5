"""The input scripts of `examples/lammps` in short form: ensembles, restart, ranks."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import output_of
from lammps_runs import ENVIRONMENT, LMP, TIMEOUT, folder_with_model, run

EXAMPLES = Path(__file__).parents[2] / "examples" / "lammps"
MGO_LATTICE = 4.21
"""Lattice constant of the data file, A."""
PRINTED = 1e-6
"""Of what a screen shows, relative."""

N_BINS = 50
"""Of the distances between oxygen atoms."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples, with the bundled model in float64."""
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    return folder_with_model(tmp_path)


def run_example(folder: Path, name: str, ranks: int = 1, **variables: object) -> str:
    """What an example prints, with other variables, and without mhff's warnings."""
    text = "".join(f"variable {key} index {value}\n" for key, value in variables.items())
    output = output_of(run(folder, text + (folder / name).read_text(), ranks))
    assert "ERROR" not in output
    return output


def thermo(output: str) -> dict[int, list[float]]:
    """Rows of the last table that LAMMPS printed, by step."""
    table = output.split("   Step ")[-1].split("Loop time")[0].splitlines()[1:]
    rows = [[float(word) for word in line.split()] for line in table]
    return {int(step): values for step, *values in rows}


def test_npt(folder: Path) -> None:
    run_example(folder, "in.npt", steps=10)
    step, lattice = np.loadtxt(folder / "lattice.txt", ndmin=2)[-1]
    assert step == 10
    assert lattice == pytest.approx(MGO_LATTICE, rel=0.01)
    assert lattice != MGO_LATTICE


@pytest.mark.slow
def test_water(folder: Path) -> None:
    rows = thermo(run_example(folder, "in.water", steps=200))
    assert rows[200][2] == pytest.approx(rows[0][2], abs=5.0)  # total energy, eV
    distances = np.loadtxt((folder / "rdf.txt").read_text().splitlines()[-N_BINS:])
    height = distances[:, 2].max()
    assert height > 1.5
    assert 2.5 < distances[distances[:, 2].argmax(), 1] < 3.5


def killed(folder: Path, name: str, file: str, **variables: object) -> None:
    """Run an example, and kill it as soon as it begins to write a file."""
    options = [word for key, value in variables.items() for word in ("-var", key, str(value))]
    process = subprocess.Popen(
        [str(LMP), "-in", name, "-log", "none", *options],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + TIMEOUT
        while not (folder / file).exists():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_restart(folder: Path) -> None:
    """A run that was killed goes on as if it had not been."""
    straight = thermo(run_example(folder, "in.restart", steps=60, every=40))
    (folder / "md.1").unlink()
    killed(folder, "in.restart", "md.2", steps=100000, every=40)
    continued = thermo(run_example(folder, "in.restart", steps=60, every=40, **{"from": "md.1"}))
    assert sorted(continued) == [40, 50, 60]
    assert continued[60] == pytest.approx(straight[60], rel=PRINTED)


@pytest.mark.slow
def test_ranks(folder: Path) -> None:
    one, two = (thermo(run_example(folder, "in.ranks", ranks, steps=20)) for ranks in (1, 2))
    assert sorted(two) == [0, 20]
    assert two[20] == pytest.approx(one[20], rel=PRINTED)
