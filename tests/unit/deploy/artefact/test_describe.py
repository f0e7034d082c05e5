"""`mhff info` of compiled files: the manifest, without loading the program."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from models import random_model

from mhff import MHFFError, Model
from mhff.cli import main
from mhff.describe import describe_file
from mhff_deploy.artefact.content import MEMBER, Manifest, pack
from mhff_deploy.artefact.describe import describe_artefact
from mhff_lammps.engine import describe_lammps_file, wrap

TABLES = {"asked": 1e-6, "measured": 1.8e-7, "intervals": 384.0}
ERRORS = {"node_energies": 5.6e-7, "edge_gradients": 2.4e-6}


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model("mp", n_channels=2, correlation=1)


def artefact(model: Model, **changes: object) -> bytes:
    """An artefact whose program could not be loaded: describing must not try."""
    fields = {
        "target": "aoti",
        "form": "aoti",
        "heads": tuple(model.heads),
        "default_head": "surfaces",
        "elements": ("O", "Mg"),
        "r_max": model.r_max,
        "dtype": "float32",
        "device": "cpu",
        "units": {"energy": "eV"},
        "model_sha256": "c0ffee",
        "torch_version": torch.__version__,
        "mhff_version": "0.1.0",
        "isa": "x86-64-v3",
        "processor": "AVX2",
        "tables": TABLES,
        "largest_errors": ERRORS,
        "provenance": {"date": "2026-01-02", "settings": {"epochs": 3}},
    }
    program = io.BytesIO()
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("program/code", b"no program")
    return pack(program.getvalue(), Manifest.model_validate(fields | changes), {})


@pytest.fixture
def path(model: Model, tmp_path: Path) -> Path:
    path = tmp_path / "A [1].pt2"
    path.write_bytes(artefact(model))
    return path


def mhff(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["mhff", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def test_json(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = mhff(monkeypatch, capsys, "info", str(path), "--json")
    summary = json.loads(out)
    assert (code, err) == (0, "")
    assert (summary["kind"], summary["file"], summary["bytes"]) == (
        "artefact",
        str(path),
        path.stat().st_size,
    )
    assert (summary["elements"], summary["r_max"], summary["default_head"]) == (
        ["O", "Mg"],
        4.0,
        "surfaces",
    )
    assert [head["name"] for head in summary["heads"]] == ["materials", "surfaces", "molecules"]
    assert (summary["dtype"], summary["device"], summary["isa"], summary["form"]) == (
        "float32",
        "cpu",
        "x86-64-v3",
        "aoti",
    )
    assert (summary["tables"], summary["largest_errors"]) == (TABLES, ERRORS)
    assert (summary["torch_version"], summary["model_sha256"]) == (torch.__version__, "c0ffee")
    assert summary["problem"] is None


def test_shown(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = mhff(monkeypatch, capsys, "info", str(path))
    assert (code, err) == (0, "")
    for words in (
        "A [1].pt2",
        "aoti for aoti, float32 on cpu",
        "x86-64-v3",
        "runs here     yes",
        "O, Mg",
        "4 A",
        "384 intervals, error of forces 1.8e-07 eV/A measured, 1e-06 eV/A asked",
        "node energies 5.6e-07 eV per atom, edge gradients 2.4e-06 eV/A",
        f"torch {torch.__version__}",
        "molecules",
        "2026-01-02",
        "c0ffee",
    ):
        assert words in out
    assert "epochs" not in out


def test_a_program_that_does_not_run_here_is_still_described(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "old.pt2"
    path.write_bytes(artefact(model, torch_version="1.0", tables={}, isa="", default_head=None))
    description = describe_artefact(path)
    assert description is not None
    assert description.summary["problem"] == (
        f"'{path}' was compiled with torch 1.0, this is torch {torch.__version__}; compile it again"
    )


def test_a_file_for_lammps_is_taken_apart_and_not_run(
    model: Model, tmp_path: Path, path: Path
) -> None:
    content = artefact(model, target="lammps")
    file = tmp_path / "M.mliap"
    file.write_bytes(wrap(content))
    summary = describe_file(file).summary
    assert (summary["kind"], summary["target"], summary["file"]) == (
        "artefact",
        "lammps",
        str(file),
    )
    assert summary["bytes"] == file.stat().st_size > len(content)
    assert describe_lammps_file(path) is None
    assert describe_artefact(file) is None


class Runs:
    """What a hostile pickle does."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("OWNED"),)  # type: ignore[return-value]


def test_hostile_pickles_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = tmp_path / "evil.mliap"
    for label in ("anything", "mhff_lammps.model"):
        hostile.write_bytes(pickle.dumps({label: Runs()}, protocol=4))
        with pytest.raises(MHFFError, match=r"is no file of mhff|is truncated or damaged"):
            describe_file(hostile)
    assert not Path("OWNED").exists()


@pytest.mark.parametrize("length", [100, 300, -10])
def test_truncated_files_are_one_sentence(model: Model, tmp_path: Path, length: int) -> None:
    for name, content in (("A.pt2", artefact(model)), ("M.mliap", wrap(artefact(model)))):
        (tmp_path / name).write_bytes(content[:length])
        with pytest.raises(MHFFError, match=r"^[^\n]*(truncated|no file of mhff)[^\n]*$"):
            describe_file(tmp_path / name)


def test_a_changed_file_for_lammps_is_refused(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "M.mliap"
    content = wrap(artefact(model))
    file.write_bytes(content.replace(b"no program", b"no Program"))
    with pytest.raises(
        MHFFError, match="is damaged: its checksum does not fit its content; compile it again"
    ):
        describe_file(file)


def test_an_edited_program_is_refused(path: Path) -> None:
    content = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, member in members.items():
            new.writestr(name, member if name.endswith(MEMBER) else b"another program")
    with pytest.raises(MHFFError, match="is damaged: its checksum does not fit"):
        describe_file(path)


def test_other_files_name_what_is_expected(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    with pytest.raises(
        MHFFError,
        match=r"is no file of mhff; expected one of: \.mhff model files, .*artefacts of mhff "
        r"compile",
    ):
        describe_file(file)
