"""`mhff compute`: results in a file, runs that are killed, and one sentence for every mistake."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from command_line import Done, Here, here, output_of, refusal_of
from models import HEADS, random_model
from structures import rattled_bulk, tiny_cell, water_cluster
from tolerances import Tolerance, assert_close

import mhff as package
from mhff.cli import main
from mhff.many import parts, unfinished
from mhff.many.unfinished import Unfinished

mhff = pytest.fixture(here)
WRITTEN = Tolerance(0.0, 1e-7)
"""Forces, eV/A, that a file holds with eight decimals."""
N_MOLECULES = 23


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.mhff"
    random_model("mh1", n_channels=4, correlation=2).save(path)
    return path


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 4)


def molecules() -> Iterator[Atoms]:
    for seed in range(N_MOLECULES):
        atoms = molecule("CH3OH")
        atoms.rattle(0.05, seed=seed)
        atoms.info["name"] = f"methanol {seed}"
        yield atoms


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "many.extxyz"
    ase.io.write(path, list(molecules()))
    return path


@pytest.mark.parametrize("workers", [0, 2])
def test_the_command(
    mhff: Here, model: Path, tmp_path: Path, small_parts: None, workers: int
) -> None:
    """Files of several formats, of structures of every kind, in the order of the command."""
    first = [rattled_bulk(), *molecules(), tiny_cell()]
    second = [water_cluster()]
    ase.io.write(tmp_path / "a.extxyz", first)
    ase.io.write(tmp_path / "b.traj", second)
    output = tmp_path / "new" / "out.extxyz"
    done = mhff(
        *("compute", model, tmp_path / "a.extxyz", tmp_path / "b.traj", "-o", output),
        *("--head", "surf", "--workers", workers),
    )
    assert f"wrote {output}" in output_of(done)
    assert "head: surfaces" in done.stderr
    found = ase.io.read(output, ":")
    given = ase.io.read(tmp_path / "a.extxyz", ":") + second
    expected = package.compute(model, given, "surfaces", form="eager", workers=0)
    for atoms, right in zip(found, expected, strict=True):
        assert atoms.info.get("name") == right.info.get("name")
        assert abs(atoms.get_potential_energy() - right.get_potential_energy()) < 1e-9
        assert_close(atoms.get_forces(), right.get_forces(), WRITTEN)
        assert ("stress" in atoms.calc.results) == ("stress" in right.calc.results)
    assert [path.name for path in output.parent.iterdir()] == ["out.extxyz"]


def test_every_head(mhff: Here, model: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.extxyz"
    output_of(mhff("compute", model, data, "-o", output, "--all-heads", "--properties", "forces"))
    for atoms in ase.io.read(output, ":"):
        for head in HEADS:
            assert np.isfinite(atoms.info[f"{head}_energy"])
            assert atoms.arrays[f"{head}_forces"].shape == (len(atoms), 3)
            assert f"{head}_stress" not in atoms.info


def test_what_it_writes_is_what_eval_reads(
    mhff: Here, model: Path, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.extxyz"
    output_of(mhff("compute", model, data, "-o", output, "--head", "mat", "--head", "mol"))
    done = mhff(
        *("eval", model, output, "--json", "--head", "mol", "--energy-key", "molecules_energy")
    )
    errors = json.loads(output_of(done))["molecules"]
    assert errors["structures"] == N_MOLECULES
    assert errors["force_components"] == 3 * 6 * N_MOLECULES
    assert errors["force_mae_meV_per_A"] < 1e-4


def killed(arguments: Sequence[object], number: int) -> None:
    """Run the command in a process that is killed when it has written half of a part."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        return
    counted = iter(range(number))
    append = Unfinished.append

    def dying(self: Unfinished, text: bytes, troubles: Sequence[str]) -> None:
        if next(counted, None) is None:
            self._stream.write(text[: len(text) // 2])
            self._stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        append(self, text, troubles)

    Unfinished.append = dying  # type: ignore[method-assign]
    sys.argv = ["mhff", *map(str, arguments)]
    try:
        main()
    finally:
        os._exit(1)  # it was not killed, and must not go on with the tests


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["recorded", "not yet recorded"])
def test_a_killed_run_goes_on_to_the_same_file(
    mhff: Here,
    model: Path,
    data: Path,
    tmp_path: Path,
    small_parts: None,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN_RECORDS", seconds)
    output = tmp_path / "out.extxyz"
    command = ("compute", model, data, "--head", "molecules", "--workers", 0)
    output_of(mhff(*command, "-o", tmp_path / "whole.extxyz"))
    for number in (3, 1):
        killed((*command, "-o", output), number)
        assert not output.exists()
    done = mhff(*command, "-o", output)
    output_of(done)
    assert ("going on after 16 of 23" in done.stderr) == (seconds == 0)
    assert output.read_bytes() == (tmp_path / "whole.extxyz").read_bytes()
    assert not list(tmp_path.glob("*.unfinished*"))


def test_a_killed_run_of_another_kind_is_not_continued(
    mhff: Here,
    model: Path,
    data: Path,
    tmp_path: Path,
    small_parts: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN_RECORDS", 0.0)
    output = tmp_path / "out.extxyz"
    command = ("compute", model, data, "-o", output, "--workers", 0)
    killed((*command, "--head", "molecules"), 2)
    before = (tmp_path / "out.extxyz.unfinished").read_bytes()
    sentence = refusal(mhff(*command, "--head", "surfaces"))
    assert "was begun with another head" in sentence
    assert "delete it" in sentence
    assert (tmp_path / "out.extxyz.unfinished").read_bytes() == before
    output_of(mhff(*command, "--head", "molecules"))


def refusal(done: Done) -> str:
    """The sentence of a refusal, below lines that say which head was taken."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("mhff: ")]
    assert done.returncode == 2, done
    assert len(lines) == 1, done
    return lines[0]


def test_two_at_once(mhff: Here, model: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.extxyz"
    with Unfinished(output, {}).opened():
        done = mhff("compute", model, data, "-o", output, "--head", "molecules")
    assert "another process is writing" in refusal(done)


def test_bad_structures_are_named_and_harm_no_other(
    mhff: Here, model: Path, tmp_path: Path, small_parts: None
) -> None:
    path = tmp_path / "many.extxyz"
    structures = list(molecules())
    structures[1].numbers[0] = 79
    structures[9].positions[0] = structures[9].positions[1]
    ase.io.write(path, structures)
    text = path.read_text().replace('name="methanol 12"', "Lattice=nonsense")
    path.write_text(text)
    output = tmp_path / "out.extxyz"
    sentence = refusal(mhff("compute", model, path, "-o", output, "--head", "molecules"))
    assert "3 of 23 structures could not be computed" in sentence
    for number, why in ((2, "has Au"), (10, "coincide"), (13, "cannot read")):
        assert f"structure {number} of '{path}'" in sentence
        assert why in sentence
    found = ase.io.read(output, ":")
    assert len(found) == N_MOLECULES - 1, "only what cannot be read is missing"
    failed = [index for index, atoms in enumerate(found) if "mhff_error" in atoms.info]
    assert failed == [1, 9]
    assert all("energy" in atoms.calc.results for atoms in found if "mhff_error" not in atoms.info)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--head", "bulk"], "unknown head 'bulk'"),
        ([], "give --head: no head given"),
        (["--head", "mol", "--all-heads"], "leave out --head"),
        (["--head", "mol", "--properties", "energy,charges"], "unknown property 'charges'"),
        (["--head", "mol", "--memory", "0"], "more than 0 GB"),
        (["--head", "mol", "--device", "tpu"], "unknown device"),
    ],
)
def test_mistakes(
    mhff: Here, model: Path, data: Path, tmp_path: Path, arguments: list[str], why: str
) -> None:
    output = tmp_path / "out.extxyz"
    assert why in refusal_of(mhff("compute", model, data, "-o", output, *arguments))
    assert not list(tmp_path.glob("out*"))


def test_files_that_cannot_be_used(mhff: Here, model: Path, data: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.extxyz"
    empty.touch()
    cut = tmp_path / "cut.extxyz"
    cut.write_text(data.read_text()[:-200])
    output = tmp_path / "out.extxyz"
    for files, where, why in (
        ([tmp_path / "no.extxyz"], output, "no file"),
        ([empty], output, "empty.extxyz"),
        ([cut], output, "cut short"),
        ([data], data, "it is an input of this command"),
        ([data], tmp_path / "out.csv", "expected -o to end in .extxyz or .xyz"),
        ([data], tmp_path / "many.extxyz" / "out.extxyz", "cannot write"),
    ):
        sentence = refusal_of(mhff("compute", model, *files, "-o", where, "--head", "mol"))
        assert why in sentence
    assert not list(tmp_path.glob("out*"))
