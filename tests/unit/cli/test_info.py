"""`mhff info`, and what the command line does with a user's mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Here, output_of, refusal_of, run_mhff
from models import HEADS, random_model

from mhff.describe import describe
from mhff.heads import E0sKind, Head, Heads
from mhff.modelfile import Model


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = random_model("mh1", n_channels=4, n_edge_channels=2, correlation=2).network
    heads = [
        Head(
            name="materials",
            level_of_theory="PBE",
            dispersion=False,
            domain="oxides [bulk]",
            elements=("O", "Mg"),
            licence="CC-BY-4.0",
        ),
        Head(
            name="surfaces",
            dispersion=True,
            citation="arXiv:2510.25380",
            e0s_kind=E0sKind.REESTIMATED,
        ),
        Head(name="molecules", e0s_kind=E0sKind.LEAST_SQUARES),
    ]
    path = tmp_path_factory.mktemp("models") / "M.mhff"
    Model(network, Heads(heads), {"created": "2026-01-02", "settings": {"epochs": 3}}).save(path)
    return path


def test_json(path: Path, mhff: Here) -> None:
    done = mhff("info", path, "--json")
    summary = json.loads(output_of(done))
    assert done.stderr == ""
    assert summary == json.loads(json.dumps(describe(path)))
    assert summary["file"] == str(path)
    assert summary["bytes"] == path.stat().st_size
    assert (summary["format_version"], summary["dtype"], summary["r_max"]) == (2, "float32", 4.0)
    assert summary["elements"] == ["H", "C", "N", "O", "Mg"]
    assert [head["name"] for head in summary["heads"]] == list(HEADS)
    assert summary["heads"][0]["elements"] == ["O", "Mg"]
    assert summary["heads"][0]["level_of_theory"] == "PBE"
    assert [head["dispersion"] for head in summary["heads"]] == [False, True, None]
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


def test_tables(path: Path, mhff: Here) -> None:
    done = mhff("info", path)
    out = output_of(done)
    assert done.stderr == ""
    for words in (
        "not included",
        "H, C, N, O, Mg",
        "4 A, 2 layers",
        "oxides [bulk]",
        "CC-BY-4.0",
        "arXiv:2510.25380",
        "epochs=3",
        "nonlinear_residual",
        "least squares",
        "re-estimated",
    ):
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
    mhff: Here,
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal_of(mhff("info", path)).startswith(f"'{path}' ")


def test_a_damaged_file(path: Path, tmp_path: Path, mhff: Here) -> None:
    damaged = tmp_path / "damaged.mhff"
    damaged.write_bytes(path.read_bytes()[:-100])
    refusal = refusal_of(mhff("info", damaged))
    assert refusal.startswith(f"'{damaged}' is truncated or damaged (")


def test_no_such_file(mhff: Here) -> None:
    assert refusal_of(mhff("info", "nothing.mhff")) == (
        "no file 'nothing.mhff': give a model file (.mhff), an artefact, or a bundled model (mini)"
    )


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["info"], ["info", "a", "b"], ["info", "--frobnicate", "a"]]
)
def test_wrong_usage(arguments: list[str], mhff: Here) -> None:
    done = mhff(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: mhff")
    assert "Traceback" not in done.stderr


def test_help_lists_the_commands(mhff: Here) -> None:
    out = output_of(mhff("--help"))
    for command in ("train", "eval", "import-mace", "info", "compile", "demo", "bench", "suite"):
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
        "rich",
        "safetensors",
        "vesin",
    }
    assert heavy & set(result.stdout.split()) == set()


def test_the_installed_command(path: Path) -> None:
    done = run_mhff("info", path, "--json")
    assert json.loads(output_of(done))["file"] == str(path)
    assert done.stderr == ""
