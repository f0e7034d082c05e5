"""Damaged and hostile files of a real model: one sentence, nothing run, nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cases import CASES
from hostile import confusion, mutations, noise
from references import references

from mhff import load
from mhff.cli.import_mace import import_mace
from mhff.errors import MHFFError

MHFF = Path(sys.executable).parent / "mhff"
MIN_MUTATIONS = 500
SAMPLES = 100
"""Files with a random pickle of each kind."""


@pytest.fixture(scope="module")
def content() -> bytes:
    """The smallest file of the harness."""
    return min(
        references().folder.glob("*.model"), key=lambda file: file.stat().st_size
    ).read_bytes()


def sentence(path: Path, output: Path) -> str | None:
    """Why a file is refused, after looking that nothing was written; None if it is imported."""
    try:
        import_mace(path, output)
    except MHFFError as error:
        said = str(error)
    else:
        output.unlink()
        return None
    assert list(path.parent.iterdir()) == [path], "something was written"
    assert said.isprintable(), said
    assert str(path) in said
    return said


def test_every_mutation_is_refused(content: bytes, tmp_path: Path) -> None:
    path, canary, count = tmp_path / "x.model", tmp_path / "canary", 0
    modules = {name.partition(".")[0] for name in sys.modules}
    for name, mutated in mutations(content, canary):
        path.write_bytes(mutated)
        assert sentence(path, tmp_path / "out.mhff"), f"'{name}' is imported"
        count += 1
    assert count >= MIN_MUTATIONS
    assert "mace" not in {name.partition(".")[0] for name in sys.modules} - modules


def test_random_pickles_do_no_harm(content: bytes, tmp_path: Path) -> None:
    """Some of them are models; those that are not are refused like the others."""
    path = tmp_path / "x.model"
    refused = 0
    for _, mutated in (*noise(content, SAMPLES), *confusion(content, SAMPLES)):
        path.write_bytes(mutated)
        refused += sentence(path, tmp_path / "out.mhff") is not None
    assert refused > SAMPLES


def test_the_command_line_says_one_sentence(content: bytes, tmp_path: Path) -> None:
    path, output = tmp_path / "x.model", tmp_path / "out.mhff"
    path.write_bytes(content[: len(content) // 2])
    done = subprocess.run(
        [MHFF, "import-mace", path, "-o", output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"mhff: '{path}' is truncated or damaged")
    assert done.stderr.count("\n") == 1
    assert not output.exists()
    path.write_bytes(content)
    done = subprocess.run(
        [MHFF, "import-mace", path, "-o", output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert load(output).elements


def test_a_model_that_jumps_at_the_cutoff_is_flagged(tmp_path: Path) -> None:
    blocks = ("first_block", "later_block")
    jumping = next(
        name
        for name, case in CASES.items()
        if case.options["apply_cutoff"]
        and "ResidualNonLinear" in [case.options[block] for block in blocks]
    )
    file, output = references().file(jumping), tmp_path / "out.mhff"
    done = subprocess.run(
        [MHFF, "import-mace", file, "-o", output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warning: this model's energy jumps where an atom crosses the cutoff" in done.stdout
    shown = subprocess.run(
        [MHFF, "info", output], capture_output=True, text=True, check=False
    ).stdout
    assert "its energy jumps where an atom crosses the cutoff" in " ".join(shown.split())
