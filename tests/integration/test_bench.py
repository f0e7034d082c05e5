"""`mhff bench` from beginning to end, on the smallest system; no time is asserted."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from command_line import Done, output_of, refusal_of, run_mhff
from lammps_runs import ENVIRONMENT
from models import random_model
from programs import cached


def bench(folder: Path, *arguments: object) -> Done:
    """`mhff bench` in a folder, with an empty environment."""
    return run_mhff("bench", *arguments, folder=folder, environment=ENVIRONMENT)


def test_a_model_in_every_engine(tmp_path: Path) -> None:
    arguments = "--sizes 8,16 --rounds 2 --form torchscript --head mat --json --plot bench.png"
    engines = ("python", "ase", "neighbours", "lammps", "openmm")
    asked = [*arguments.split(), *(f"--engine={engine}" for engine in engines)]
    report = json.loads(output_of(bench(tmp_path, "mini", *asked)))
    assert report["head"] == "materials"
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    labels = [contender["label"] for contender in report["contenders"]]
    assert labels == [
        "python torchscript float32",
        "ase torchscript float32",
        "neighbours",
        "lammps torchscript float32",
        "openmm torchscript float32",
        "matrix product float32",
    ]
    assert [(point["atoms"], point["contender"]) for point in report["points"]] == [
        (n_atoms, label) for n_atoms in (8, 16) for label in labels
    ]
    for point in report["points"]:
        assert len(point["seconds_per_step"]) == 2
        assert all(seconds > 0 for seconds in point["seconds_per_step"])
        evaluates = point["contender"] not in ("neighbours", "matrix product float32")
        assert (
            (point["memory_bytes"] is not None) == (point["times_floor"] is not None) == evaluates
        )
    energies = [
        point["energy_eV"] for point in report["points"][:6] if point["energy_eV"] is not None
    ]
    assert len(energies) == 4
    assert math.isclose(min(energies), max(energies), abs_tol=1e-3)
    assert [floor["atoms"] for floor in report["floors"]] == [8, 16]


def test_an_artefact_and_a_table(tmp_path: Path) -> None:
    program = cached("mini", form="torchscript")
    text = output_of(bench(tmp_path, program, "--sizes", 8, "--rounds", 1, "--no-memory"))
    assert "python artefact float32" in text
    assert "floors" in text


@pytest.mark.parametrize("engine", ["python", "lammps", "openmm"])
def test_water_is_refused_by_a_model_without_hydrogen(tmp_path: Path, engine: str) -> None:
    """The refusal comes before an engine is started."""
    random_model("mp", elements=("O", "Mg")).save(tmp_path / "M.mhff")
    done = bench(tmp_path, "M.mhff", "--system", "water", "--engine", engine)
    assert refusal_of(done).startswith("this structure has H, but this model knows only O, Mg")
