"""`mhff bench` says what is wrong in one sentence, before anything is measured."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import Here, refusal_of
from manifests import empty_artefact, manifest
from models import random_model

from mhff.engines import Engine, Steps
from mhff.errors import MHFFError
from mhff_bench import own_worker


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "--engine gromacs",
            "unknown engine 'gromacs': choose one of ase, lammps, neighbours, openmm, python",
        ),
        ("--form cuda", "unknown form 'cuda': choose one of eager, aoti, torchscript"),
        ("--dtype float16", "unknown dtype 'float16': choose one of float32, float64"),
        ("--system argon", "unknown system 'argon': choose one of mgo, co-on-mgo, water"),
        (
            "--sizes 8,many",
            "expected numbers of atoms separated by commas, as --sizes 8,64,216, got '8,many'",
        ),
        ("--sizes 10", "the system 'mgo' comes in multiples of 8 atoms, got 10; take 8"),
        (
            "--system water --sizes -3",
            "the system 'water' comes in multiples of 3 atoms, got -3; take 3",
        ),
        (
            "--head nothing",
            "unknown head 'nothing': this model has the heads materials, molecules, surfaces; "
            "choose one",
        ),
        ("--rounds 0", "expected one round or more, got 0"),
        ("--threads 0", "expected one thread or more, got 0"),
        (
            "--against lammps",
            "unknown peer 'lammps': choose one of mace-torch, mace-torch-compiled, openmm-ml, "
            "symmetrix-xl",
        ),
        (
            "--against mace-torch --peer-python /no/python",
            "no Python of peers at '/no/python': give the one that has them",
        ),
        (
            f"--against mace-torch --peer-python {sys.executable}",
            "imported from, got none; give it with --peer-model",
        ),
        (
            f"--against mace-torch --peer-python {sys.executable} --peer-model no.model",
            "expected the mace-torch file that the model was imported from, got no.model; give it "
            "with --peer-model",
        ),
        (
            "--engine lammps --form eager",
            "the engine 'lammps' runs no program of the form eager: ask for --form aoti",
        ),
        ("--device abacus", "unknown device 'abacus': choose cpu or cuda"),
    ],
)
def test_what_does_not_exist(
    mhff: Here,
    arguments: str,
    sentence: str,
) -> None:
    assert sentence in refusal_of(mhff("bench", "mini", *arguments.split()))


def test_a_file_that_is_not_there(mhff: Here) -> None:
    assert "no.mhff" in refusal_of(mhff("bench", "no.mhff"))


def test_a_system_with_elements_that_the_model_lacks(mhff: Here, tmp_path: Path) -> None:
    random_model("mp", elements=("H", "O")).save(tmp_path / "M.mhff")
    found = refusal_of(mhff("bench", str(tmp_path / "M.mhff"), "--form", "eager"))
    assert found.startswith("this structure has Mg, but this model knows only H, O")


def test_an_artefact_has_its_own_form(mhff: Here, tmp_path: Path) -> None:
    path = tmp_path / "program.pt2"
    path.write_bytes(empty_artefact(manifest(capabilities={"elements": ("O", "Mg")})))
    assert refusal_of(mhff("bench", path, "--dtype", "float64")).endswith(
        "is an artefact and has the form and precision that it was compiled in; leave out --form "
        "and --dtype"
    )


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def bench(options: Mapping[str, Any]) -> Steps:
        raise ModuleNotFoundError("no", name="openmm")

    monkeypatch.setattr(own_worker, "find_engine", lambda name: Engine(name, bench=bench))
    with pytest.raises(
        MHFFError, match=r"^the engine 'openmm' needs openmm, which is not installed"
    ):
        own_worker.open_contender({"engine": "openmm", "threads": 1})
