"""`mhff info`, and what the command line does with a user's mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from models import HEADS, random_model

from mhff.cli import main
from mhff.describe import describe
from mhff.heads import Head, Heads
from mhff.modelfile import Model


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = random_model("mh1", n_channels=4, n_edge_channels=2, correlation=2).network
    heads = [
        Head(
            name="materials",
            level_of_theory="PBE",
            domain="oxides [bulk]",
            elements=("O", "Mg"),
            licence="CC-BY-4.0",
        ),
        Head(name="surfaces", citation="arXiv:2510.25380"),
        Head(name="molecules"),
    ]
    path = tmp_path_factory.mktemp("models") / "M.mhff"
    Model(network, Heads(heads), {"created": "2026-01-02", "settings": {"epochs": 3}}).save(path)
    return path


def mhff(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["mhff", *arguments])
    monkeypatch.setenv("COLUMNS", "120")
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
    assert summary == json.loads(json.dumps(describe(path)))
    assert summary["file"] == str(path)
    assert summary["bytes"] == path.stat().st_size
    assert (summary["format_version"], summary["dtype"], summary["r_max"]) == (2, "float32", 4.0)
    assert summary["elements"] == ["H", "C", "N", "O", "Mg"]
    assert [head["name"] for head in summary["heads"]] == list(HEADS)
    assert summary["heads"][0]["elements"] == ["O", "Mg"]
    assert summary["heads"][0]["level_of_theory"] == "PBE"
    assert set(summary["heads"][2]["E0s"]) == set(summary["elements"])
    assert summary["architecture"]["n_channels"] == 4
    assert summary["provenance"]["settings"] == {"epochs": 3}
    assert summary["units"] == {"energy": "eV", "length": "A", "force": "eV/A", "stress": "eV/A^3"}


def test_numbers_are_those_of_the_model(path: Path) -> None:
    network = random_model("mh1", n_channels=4, n_edge_channels=2, correlation=2).network
    summary = describe(path)
    assert summary["n_parameters"] == sum(parameter.numel() for parameter in network.parameters())
    energies = [list(head["E0s"].values()) for head in summary["heads"]]
    assert energies == network.reference_energies.E0s.tolist()


def test_a_model_in_memory() -> None:
    summary = describe(random_model("mp", n_channels=2, correlation=1))
    assert summary["file"] is None
    assert summary["architecture"]["interaction"] == "residual"


def test_tables(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = mhff(monkeypatch, capsys, "info", str(path))
    assert (code, err) == (0, "")
    for words in (
        "H, C, N, O, Mg", "4 A, 2 layers", "oxides [bulk]", "CC-BY-4.0", "arXiv:2510.25380", "epochs=3", "nonlinear_residual"
    ):  # fmt: skip
        assert words in out
    for energy in describe(path)["heads"][1]["E0s"].values():
        assert f"{energy:.6f}" in out


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text", b"hello, this is a text\n"),
        ("zip", b"PK\x03\x04" + bytes(60)),
        ("empty", b""),
        ("json", b'{"a": 1}{"b": 2}'),
    ],
)
def test_other_files_are_one_sentence(
    name: str,
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    code, out, err = mhff(monkeypatch, capsys, "info", str(path))
    assert (code, out) == (2, "")
    assert err.startswith("mhff: '")
    assert err.count("\n") == 1


def test_a_damaged_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.mhff"
    damaged.write_bytes(path.read_bytes()[:-100])
    code, out, err = mhff(monkeypatch, capsys, "info", str(damaged))
    assert (code, out) == (2, "")
    assert err.startswith(f"mhff: '{damaged}' is truncated or damaged (")
    assert err.count("\n") == 1


def test_no_such_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = mhff(monkeypatch, capsys, "info", "nothing.mhff")
    assert (code, out) == (2, "")
    assert (
        err == "mhff: no file 'nothing.mhff': give a model file (.mhff), an artefact, or a bundled "
        "model (mini)\n"
    )


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["info"], ["info", "a", "b"], ["info", "--frobnicate", "a"]]
)
def test_wrong_usage(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = mhff(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: mhff")
    assert "Traceback" not in err


def test_help_lists_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = mhff(monkeypatch, capsys, "--help")
    assert code == 0
    for command in ("train", "eval", "info", "compile", "demo"):
        assert f"\n  {command} " in out


def test_help_imports_nothing_heavy() -> None:
    """Help comes at once; no test measures time, so this one looks at what is imported."""
    script = (
        "import sys, mhff.cli; mhff.cli.build_app(); print(*{name.split('.')[0] for name in "
        "sys.modules})"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {
        "torch",
        "numpy",
        "ase",
        "e3nn",
        "lightning",
        "matplotlib",
        "openmm",
        "pydantic",
        "rich",
        "safetensors",
        "vesin",
    }
    assert heavy & set(result.stdout.split()) == set()


def test_the_installed_command(path: Path) -> None:
    command = Path(sys.executable).with_name("mhff")
    result = subprocess.run(
        [command, "info", path, "--json"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["file"] == str(path)
