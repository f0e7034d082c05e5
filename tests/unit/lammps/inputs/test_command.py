"""`mhff lammps-input`: the folder, and one sentence for every mistake."""

from __future__ import annotations

from pathlib import Path

import ase.io
import pytest
from command_line import Here, output_of, refusal_of
from manifests import empty_artefact, manifest
from structures import adsorbate, no_atoms

from mhff.filekinds import SourceFile
from mhff.modelfile import Model, load
from mhff.options import CompileOptions, Precision
from mhff_lammps.filekind import wrap
from mhff_lammps.inputs import model as model_room
from mhff_lammps.inputs.model import lammps_file

STATES = ({"quantity": "total_charge", "kind": "continuous", "width": 4},)
CHARGED = {"elements": ("C", "O", "Mg"), "default_head": None, "state_embeddings": STATES}


@pytest.fixture
def structure(tmp_path: Path) -> Path:
    path = tmp_path / "co on mgo.xyz"
    ase.io.write(path, adsorbate())
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file for LAMMPS whose program could not be loaded, with the default head gas."""
    path = tmp_path / "m.mliap"
    made = manifest(capabilities={"elements": ("C", "O", "Mg")})
    path.write_bytes(wrap(empty_artefact(made)))
    return path


def test_a_folder(mhff: Here, structure: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    output = output_of(mhff("lammps-input", structure, "--model", model, "--head", "b", "-o", out))
    assert sorted(path.name for path in out.iterdir()) == [
        "in.lammps",
        "model.mliap",
        "structure.data",
    ]
    assert (out / "model.mliap").read_bytes() == model.read_bytes()
    assert "66 atoms, types 1 Mg@bulk, 2 O@bulk, 3 C@bulk; model " in output
    assert "run it there with: lmp -in in.lammps" in output
    assert "66 atoms of co on mgo.xyz" in (out / "in.lammps").read_text()


def test_the_default_head_of_a_file(
    mhff: Here, structure: Path, model: Path, tmp_path: Path
) -> None:
    command = ("lammps-input", structure, "--model", model, "-o", tmp_path / "out")
    assert "1 Mg@gas" in output_of(mhff(*command))


def test_a_mix_of_a_file(mhff: Here, structure: Path, tmp_path: Path) -> None:
    mixes = ({"name": "half", "weights": {"bulk": 0.5, "gas": 0.5}},)
    made = manifest(capabilities={"elements": ("C", "O", "Mg"), "mixes": mixes})
    model = tmp_path / "mixed.mliap"
    model.write_bytes(wrap(empty_artefact(made)))
    command = (
        "lammps-input",
        structure,
        "--model",
        model,
        "--head",
        "half",
        "-o",
        tmp_path / "out",
    )
    assert "1 Mg@half" in output_of(mhff(*command))


def test_a_script_that_may_have_been_edited_is_kept(
    mhff: Here, structure: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.lammps").write_text("mine")
    done = mhff("lammps-input", structure, "--model", model, "-o", tmp_path)
    assert "in.lammps' exists and may hold your changes; remove it, or name" in refusal_of(done)
    assert (tmp_path / "in.lammps").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--head", "x"], "unknown head 'x': this model has the heads bulk, gas"),
        (["--dtype", "float64"], "is compiled already, in its own precision; leave out --dtype"),
        (["--dtype", "double"], "unknown dtype 'double': choose one of float32, float64"),
    ],
)
def test_mistakes(
    mhff: Here, structure: Path, model: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    out = tmp_path / "out"
    done = mhff("lammps-input", structure, "--model", model, "-o", out, *arguments)
    assert sentence in refusal_of(done)
    assert not out.exists()


def test_structures_that_cannot_be_read(mhff: Here, model: Path, tmp_path: Path) -> None:
    rest = ("--model", model, "-o", tmp_path / "out")
    assert "no file 'a.xyz': give a structure" in refusal_of(mhff("lammps-input", "a.xyz", *rest))
    bad = tmp_path / "bad.cif"
    bad.write_text("nothing")
    assert "ASE cannot read a structure from" in refusal_of(mhff("lammps-input", bad, *rest))
    empty = tmp_path / "empty.xyz"
    ase.io.write(empty, no_atoms(), format="extxyz")
    assert "mhff: this structure has no atoms" in mhff("lammps-input", empty, *rest).stderr


def test_a_format_that_ase_cannot_tell(mhff: Here, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.data"
    ase.io.write(path, adsorbate(), format="lammps-data", masses=True)
    command = ("lammps-input", path, "--model", model, "-o", tmp_path / "out")
    assert "name the format with --format" in refusal_of(mhff(*command))
    assert "66 atoms" in output_of(mhff(*command, "--format", "lammps-data"))


def test_a_structure_of_a_trajectory(mhff: Here, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    ase.io.write(path, [adsorbate(), adsorbate()[:64]])
    command = ("--model", model, "-o")
    last = output_of(mhff("lammps-input", path, *command, tmp_path / "last"))
    assert last.startswith("64 atoms")
    first = output_of(mhff("lammps-input", f"{path}@0", *command, tmp_path / "first"))
    assert first.startswith("66 atoms")
    every = mhff("lammps-input", f"{path}@:", *command, tmp_path / "all")
    assert "expected one structure, got all of" in refusal_of(every)


def test_a_charge_must_be_that_of_the_compiled_file(mhff: Here, tmp_path: Path) -> None:
    model = tmp_path / "charged.mliap"
    model.write_bytes(wrap(empty_artefact(manifest(capabilities=CHARGED))))
    ion = adsorbate()
    ion.info["charge"] = -1
    ase.io.write(tmp_path / "ion.xyz", ion)
    command = ("lammps-input", tmp_path / "ion.xyz", "--model", model, "--head", "bulk")
    refusal = refusal_of(mhff(*command, "-o", tmp_path / "out"))
    assert "this structure has charge -1 and spin multiplicity 1" in refusal
    assert "compile it with --charge -1 --spin 1" in refusal


def test_a_model_is_compiled_for_its_elements(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = {}

    def compiled(model: Model, options: CompileOptions, used: list[str], say: object) -> Path:
        asked["it"] = (model.heads.names, options.precision, used)
        path = tmp_path / "program"
        path.write_bytes(empty_artefact())
        return path

    monkeypatch.setattr(model_room, "compiled", compiled)
    file = SourceFile(Path("mini"), load("mini").to_bytes())
    options = CompileOptions(precision=Precision.FLOAT64)
    content = lammps_file(file, options, ["Mg", "O"], lambda step: None)
    assert content == wrap(empty_artefact())
    assert asked["it"] == (load("mini").heads.names, Precision.FLOAT64, ["Mg", "O"])


def test_an_artefact_is_wrapped() -> None:
    file = SourceFile(Path("a.pt2"), empty_artefact())
    content = lammps_file(file, CompileOptions(), [], lambda step: None)
    assert content == wrap(empty_artefact())
