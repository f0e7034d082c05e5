"""`mhff info` of compiled files: the manifest, without loading the program."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Here, output_of
from manifests import CODE, empty_artefact, manifest
from models import HEADS

from mhff import MHFFError
from mhff.describe import describe_file
from mhff.filekinds import read_source
from mhff.heads import Head, Heads
from mhff.mixes import parse_mix
from mhff.options import InstructionSet
from mhff_deploy.artefact.content import Tables
from mhff_deploy.artefact.describe import describe_artefact
from mhff_deploy.filekind import ARTEFACTS
from mhff_lammps.filekind import FILES, wrap

TABLES = {
    "asked": 1e-6,
    "measured": 1.8e-7,
    "n_intervals": 384,
    "are_inputs": True,
    "elements": ["O", "Mg"],
    "stored": True,
}
ERRORS = {"node_energies": 5.6e-7, "edge_gradients": 2.4e-6}


def artefact(options: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """A program of a model with three heads for O and Mg, with changes."""
    fields = {
        "processor": "AVX2",
        "tables": Tables(**TABLES),
        "largest_errors": ERRORS,
        "provenance": {"date": "2026-01-02", "settings": {"epochs": 3}},
    }
    able = {
        "heads": Heads([Head(name=name) for name in HEADS]),
        "elements": ("O", "Mg"),
        "default_head": "surfaces",
        "r_max": 4.0,
    }
    able |= {"mixes": changes.pop("mixes", ())}
    asked = {"isa": InstructionSet.X86_64_V3} | (options or {})
    return empty_artefact(manifest(options=asked, capabilities=able, **(fields | changes)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "A [1].pt2"
    path.write_bytes(artefact())
    return path


def test_json(path: Path, mhff: Here) -> None:
    done = mhff("info", path, "--json")
    summary = json.loads(output_of(done))
    assert done.stderr == ""
    assert (summary["kind"], summary["file"]) == ("artefact", str(path))
    assert summary["bytes"] == path.stat().st_size
    assert (summary["elements"], summary["r_max"]) == (["O", "Mg"], 4.0)
    assert summary["default_head"] == "surfaces"
    assert [head["name"] for head in summary["heads"]] == list(HEADS)
    assert (summary["dtype"], summary["device"]) == ("float32", "cpu")
    assert (summary["options"]["isa"], summary["form"]) == ("x86-64-v3", "aoti")
    assert (summary["tables"], summary["largest_errors"]) == (TABLES, ERRORS)
    assert (summary["torch_version"], summary["model_sha256"]) == (torch.__version__, "c0ffee")
    assert summary["problem"] is None
    assert summary["mixes"] == []


def test_shown(path: Path, mhff: Here) -> None:
    done = mhff("info", path)
    out = output_of(done)
    assert done.stderr == ""
    for words in (
        "A [1].pt2",
        "aoti for aoti, float32 on cpu",
        "x86-64-v3",
        "runs here     yes",
        "O, Mg",
        "4 A",
        "384 intervals, error of forces on atoms 1.8e-07 eV/A measured, 1e-06 eV/A asked",
        "node energies 5.6e-07 eV, edge gradients 2.4e-06 eV/A",
        f"torch {torch.__version__}",
        "molecules",
        "2026-01-02",
        "c0ffee",
    ):
        assert words in out
    assert "epochs" not in out


def test_tables_that_a_program_makes_are_shown(tmp_path: Path, mhff: Here) -> None:
    path = tmp_path / "all.pt2"
    path.write_bytes(artefact(tables=Tables(**TABLES | {"stored": False})))
    sentence = (
        "made for a structure's elements; for O, Mg 384 intervals, error of forces on atoms "
        "1.8e-07 eV/A measured, 1e-06 eV/A asked"
    )
    assert sentence in " ".join(output_of(mhff("info", path)).split())


def test_mixes_are_shown(tmp_path: Path, mhff: Here) -> None:
    path = tmp_path / "mixed.pt2"
    mix = parse_mix("screened=0.7*materials+0.3*surfaces")
    path.write_bytes(artefact(mixes=(mix,)))
    assert "mixes         screened=0.7*materials+0.3*surfaces" in output_of(mhff("info", path))
    (described,) = json.loads(output_of(mhff("info", path, "--json")))["mixes"]
    assert described == {"name": "screened", "weights": {"materials": 0.7, "surfaces": 0.3}}


def test_a_program_that_does_not_run_here_is_still_described(tmp_path: Path, mhff: Here) -> None:
    path = tmp_path / "old.pt2"
    path.write_bytes(artefact(torch_version="1.0", tables=Tables(asked=0.0)))
    problem = (
        f"'{path}' was compiled with torch 1.0, but torch {torch.__version__} is installed; "
        "recompile it"
    )
    assert describe_artefact(read_source(path)).summary["problem"] == problem
    assert "runs here     no: " in output_of(mhff("info", path))


def test_capabilities_are_those_of_the_manifest(path: Path) -> None:
    able = ARTEFACTS.capabilities(read_source(path))
    assert (able.elements, able.default_head, able.heads.names) == (("O", "Mg"), "surfaces", HEADS)


def test_a_file_for_lammps_is_taken_apart_and_not_run(tmp_path: Path, path: Path) -> None:
    content = artefact(target="lammps")
    file = tmp_path / "M.mliap"
    file.write_bytes(wrap(content))
    summary = describe_file(file).summary
    assert (summary["kind"], summary["target"]) == ("artefact", "lammps")
    assert summary["file"] == str(file)
    assert summary["bytes"] == file.stat().st_size > len(content)
    assert FILES.recognises(file.read_bytes())
    assert not ARTEFACTS.recognises(file.read_bytes())
    assert ARTEFACTS.recognises(path.read_bytes())
    assert not FILES.recognises(path.read_bytes())


class Runs:
    """What a hostile pickle does."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("OWNED"),)  # type: ignore[return-value]


def test_hostile_pickles_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = tmp_path / "evil.mliap"
    for label in ("anything", "mhff_lammps.model"):
        hostile.write_bytes(pickle.dumps({label: Runs()}, protocol=4))
        with pytest.raises(MHFFError, match=r"is not an mhff file|is truncated or damaged"):
            describe_file(hostile)
    assert not Path("OWNED").exists()


@pytest.mark.parametrize("length", [100, 300, -10])
def test_truncated_files_are_one_sentence(tmp_path: Path, length: int) -> None:
    for name, content in (("A.pt2", artefact()), ("M.mliap", wrap(artefact()))):
        (tmp_path / name).write_bytes(content[:length])
        with pytest.raises(MHFFError, match=r"^[^\n]*(truncated|not an mhff file)[^\n]*$"):
            describe_file(tmp_path / name)


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_edited_program_is_refused(tmp_path: Path, wrapped: bool) -> None:
    content = artefact().replace(CODE, CODE.upper())
    file = tmp_path / "M"
    whole = wrap(artefact())
    file.write_bytes(whole.replace(CODE, CODE.upper()) if wrapped else content)
    with pytest.raises(MHFFError, match=r"^'.*M' is (damaged|truncated or not an artefact).*; rec"):
        describe_file(file)


def test_other_files_name_what_is_expected(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    with pytest.raises(
        MHFFError,
        match=r"^'.*notes\.txt' is not an mhff file; expected one of: \.mhff model files, "
        r"LAMMPS files of mhff compile, artefacts of mhff compile$",
    ):
        describe_file(file)
