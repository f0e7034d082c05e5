"""`mhff compile`: mistakes are one sentence, before anything is compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Here, refusal_of
from models import tiny_model


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "M.mhff"
    tiny_model().save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--target aoti", "no head given: this model has the heads materials, surfaces, molecules"),
        (
            "--target aoti --head m",
            "head 'm' is ambiguous: it could be any of materials, molecules",
        ),
        ("--target aoti --head dft", "unknown head 'dft'"),
        (
            "--target gromacs --head surf",
            "unknown target 'gromacs': choose one of aoti, lammps, metatomic, openmm, torchscript",
        ),
        (
            "--target aoti --head surf --form torchscript",
            "target 'aoti' does not take the form 'torchscript': choose one of aoti",
        ),
        ("--target aoti --head surf --elements Mg,Fe", "this model has no element Fe"),
        ("--target aoti --head surf --dtype half", "unknown dtype 'half'"),
        ("--target aoti --head surf --isa z80", "unknown instruction set 'z80'"),
        ("--target aoti --head surf --device abacus", "unknown device 'abacus'"),
        ("--target aoti --head surf --table-error -1", "expected a table error of 0 eV/A or more"),
        ("--target aoti --head surf --charge 1", "this model has no total-charge input"),
        ("--target aoti --head surf --spin 3", "this model has no total-spin input"),
        ("--target aoti --head surf --mix x", "expected a mix as NAME=WEIGHT*HEAD+WEIGHT*HEAD"),
        ("--target aoti --head surf --mix x=1*m", "head 'm' is ambiguous"),
        ("--target aoti --head surf --mix x=1*dft", "unknown head 'dft'"),
        (
            "--target aoti --head surf --mix x=0.5*surf+0.5*surfaces",
            "the mix 'x' names the head 'surfaces' twice",
        ),
        ("--target aoti --head surf --mix x=0.5*surf", "the weights of a head mix must sum to 1"),
        ("--target aoti --head surf --mix surfaces=1*mat", "the name 'surfaces' of a mix is taken"),
        ("--target aoti --head x --mix x=1*mat --mix x=1*surf", "the name 'x' of a mix is taken"),
        ("--target aoti --head y --mix x=1*mat", "unknown head 'y'"),
        ("--target aoti --head surf -o /", "expected the name of a file to write, got the folder"),
        ("--target lammps --head surf -o a.pt", "does not end in .pt or .pth"),
    ],
)
def test_mistakes(mhff: Here, path: Path, tmp_path: Path, arguments: str, sentence: str) -> None:
    done = mhff("compile", path, "-o", tmp_path / "out", *arguments.split())
    assert sentence in refusal_of(done)
    assert not list(tmp_path.iterdir())


def test_the_input_is_never_the_output(mhff: Here, path: Path) -> None:
    before = path.read_bytes()
    refusal = refusal_of(mhff("compile", path, "--head", "surf", "--target", "aoti", "-o", path))
    assert str(path) in refusal
    assert path.read_bytes() == before


def test_compiled_files_are_not_compiled_again(mhff: Here, tmp_path: Path) -> None:
    from manifests import empty_artefact

    (tmp_path / "a.pt2").write_bytes(empty_artefact())
    asked = ["--head", "gas", "--target", "aoti", "-o"]
    refusal = refusal_of(mhff("compile", tmp_path / "a.pt2", *asked, tmp_path / "b.pt2"))
    assert "a.pt2" in refusal
    assert not (tmp_path / "b.pt2").exists()
