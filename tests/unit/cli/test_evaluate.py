"""`mhff eval`: tables, JSON, plots, labels of ASE, and one sentence for every mistake."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from command_line import Here, here, output_of, refusal_of
from labelled import E0S, both_heads, write_data
from matplotlib.image import imread
from models import random_model
from tolerances import Tolerance, assert_close

from mhff.data import surveyed

N_CELLS = 5
WRITTEN = Tolerance(1e-5, 1e-5)
"""Errors, meV, of labels that one of two files holds with eight decimals."""
MIN_CONTRAST = 0.05
"""Standard deviation of a picture with something in it; an empty one has 0."""

mhff = pytest.fixture(here)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.mhff"
    random_model(heads=tuple(E0S), elements=("H", "O")).save(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return both_heads(tmp_path, N_CELLS)


def test_the_command(mhff: Here, model: Path, data: Path, tmp_path: Path) -> None:
    plot = tmp_path / "parity.png"
    output = output_of(mhff("eval", model, data, "--plot", plot))
    assert "loose" in output
    assert "bare" in output
    assert f"wrote {plot}" in output.replace("\n", "")
    assert imread(plot).std() > MIN_CONTRAST, "the picture is empty"


def test_the_command_completes_heads_and_prints_json(
    mhff: Here, model: Path, data: Path, tmp_path: Path
) -> None:
    assert "head: tight" in output_of(mhff("eval", model, data, "--head", "ti"))
    content = json.loads(output_of(mhff("eval", model, data, "--json", "--stress-key", "")))
    assert content["tight"]["structures"] == N_CELLS
    assert content["tight"]["config_types"]["cell"]["structures"] == N_CELLS - 1
    assert content["loose"]["stress_structures"] == 0


def test_several_sources_and_a_csv_file(
    mhff: Here, model: Path, data: Path, tmp_path: Path
) -> None:
    """A file, a folder and a pattern that all name the same file count it once."""
    expected = json.loads(output_of(mhff("eval", model, data, "--json")))
    sources = [data, tmp_path, tmp_path / "b*.extxyz"]
    (tmp_path / "loose.extxyz").unlink()
    (tmp_path / "tight.extxyz").unlink()
    table = tmp_path / "errors.csv"
    assert json.loads(output_of(mhff("eval", model, *sources, "--json"))) == expected
    assert f"wrote {table}" in output_of(mhff("eval", model, *sources, "--csv", table))
    with table.open() as stream:
        rows = {(row["head"], row["config_type"]): row for row in csv.DictReader(stream)}
    assert set(rows) == {("loose", "cell"), ("tight", "bare"), ("tight", "cell")}
    for (head, config_type), row in rows.items():
        for name, value in expected[head]["config_types"][config_type].items():
            assert row[name] == ("" if value is None else str(value))
    assert rows["tight", "cell"]["force_rmse_meV_per_A"] > ""


def test_large_files_stay_on_disk(
    mhff: Here, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of every file was held in memory."""
    expected = mhff("eval", model, data, "--json")
    monkeypatch.setattr(surveyed, "MAX_IN_MEMORY", 0)
    found = mhff("eval", model, data, "--json")
    assert json.loads(output_of(found)) == json.loads(output_of(expected))
    assert found.stderr == expected.stderr


def test_labels_under_different_names_in_two_files(
    mhff: Here, model: Path, data: Path, tmp_path: Path
) -> None:
    frames = read(write_data(tmp_path, "tight", N_CELLS, seed=1), "2:")
    for frame in frames:
        frame.info["head"] = "tight"
    one = json.loads(output_of(mhff("eval", model, tmp_path / "tight.extxyz", "--json")))
    write(tmp_path / "a.traj", [relabelled(frame) for frame in frames])
    both = mhff(
        "eval", model, tmp_path / "tight.extxyz", tmp_path / "a.traj", "--head", "t", "--json"
    )
    assert "no REF_energy in" in both.stderr
    found = json.loads(both.stdout)["tight"]
    assert found["structures"] == 2 * one["tight"]["structures"]
    assert_close(found["force_mae_meV_per_A"], one["tight"]["force_mae_meV_per_A"], WRITTEN)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["p.svg", "p.pdf", "p.png"])
def test_pictures_of_each_kind(
    mhff: Here, model: Path, data: Path, tmp_path: Path, name: str
) -> None:
    output_of(mhff("eval", model, data, "--plot", tmp_path / name))
    content = (tmp_path / name).read_bytes()
    kinds = {"p.svg": b"<svg", "p.pdf": b"%PDF", "p.png": b"\x89PNG"}
    assert kinds[name] in content[:2000]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere*"], "no file matches 'nowhere\\*'; check the pattern"),
        (["--csv", "x.csv", "--plot", "x.csv"], "--plot and --csv name the same file"),
        (["--head", "x"], "unknown head 'x': this model has the heads loose, tight"),
        (
            ["--energy-key", "E"],
            r"no energy under 'E' in .* has REF_energy; set --energy-key",
        ),
        (
            ["--forces-key", "f"],
            r"no forces under 'f' in .*REF_forces; set --forces-key to its name",
        ),
        (
            ["--charge-key", "q"],
            r"none of the 10 structures has charge under 'q'; set --charge-key",
        ),
    ],
)
def test_mistakes(
    mhff: Here, model: Path, data: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    assert re.search(sentence, refusal_of(mhff("eval", model, data, *arguments)))


def test_energies_are_not_needed(mhff: Here, model: Path, data: Path) -> None:
    """Structures without an energy were refused."""
    found = mhff("eval", model, data, "--json", "--energy-key", "")
    tight = json.loads(output_of(found))["tight"]
    assert tight["energy_mae_meV_per_atom"] is None
    assert tight["force_components"] > 0
    assert "note: 1 structures without any label are left out" in found.stderr


def test_names_of_labels(mhff: Here, model: Path, data: Path, tmp_path: Path) -> None:
    """The names of the other labels follow that of the energy, or are given one by one."""
    text = data.read_text().replace("REF_", "dft_")
    (tmp_path / "dft.xyz").write_text(text)
    expected = output_of(mhff("eval", model, data, "--json"))
    given = ["--energy-key", "dft_energy"]
    for more in ([], ["--forces-key", "dft_forces", "--stress-key", "dft_stress"]):
        assert (
            output_of(mhff("eval", model, tmp_path / "dft.xyz", "--json", *given, *more))
            == expected
        )


def relabelled(frame: Atoms) -> Atoms:
    """The frame with its labels in a calculator, as ASE writes them."""
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    labels = {"energy": frame.info["REF_energy"], "forces": frame.arrays.get("REF_forces")}
    atoms.calc = SinglePointCalculator(atoms, **labels, stress=frame.info.get("REF_stress"))
    return atoms


@pytest.mark.parametrize("name", ["a.traj", "a.db", "a.json", "a.xyz"])
def test_what_ase_writes(mhff: Here, model: Path, tmp_path: Path, name: str) -> None:
    frames = read(write_data(tmp_path, "tight", N_CELLS, seed=1), "2:")
    write(tmp_path / "ref.xyz", frames)
    write(tmp_path / name, [relabelled(frame) for frame in frames])
    expected, found = (
        json.loads(output_of(mhff("eval", model, tmp_path / file, "--head", "t", "--json")))
        for file in ("ref.xyz", name)
    )
    assert found["tight"]["stress_structures"] == N_CELLS
    expected, found = expected["tight"], found["tight"]
    for key in ("energy_mae_meV_per_atom", "force_mae_meV_per_A", "stress_mae_meV_per_A3"):
        assert_close(found[key], expected[key], WRITTEN)


def test_labels_that_are_not_used_are_said(mhff: Here, model: Path, tmp_path: Path) -> None:
    frames = read(write_data(tmp_path, "tight", 2), "2:")
    frames[0].info["total_charge"] = -1
    frames[1].info["n_charge"] = 2
    write(tmp_path / "a.xyz", frames)
    result = mhff("eval", model, tmp_path / "a.xyz", "--json")
    assert "1 of 2 structures have a total charge other than 0" in result.stderr
    assert "1 of 2 structures have 'n_charge', which is not read" in result.stderr
    assert "tight" in json.loads(result.stdout)


def change(frame: Atoms, **changes: Any) -> Atoms:
    """A copy of the frame with some attributes changed."""
    copy = frame.copy()
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy


def coinciding(frame: Atoms) -> Atoms:
    """The frame with its last atom moved onto an image of its first one, up to rounding."""
    positions = frame.positions.copy()
    positions[-1] = positions[0] + frame.cell[0] + 5e-4
    return change(frame, positions=positions)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda frame: change(frame, numbers=[92, 1, 8, 1]), "U, but this model knows only H, O"),
        (lambda frame: change(frame, cell=[[3, 0, 0], [3, 0, 0], [0, 0, 3]]), "lattice vectors"),
        (coinciding, r"atoms 0 and 3 .*|atoms 3 and 0 .*"),
        (lambda frame: change(frame, info={**frame.info, "head": "lose"}), "unknown head 'lose'"),
        (lambda frame: change(frame, info={"REF_energy": 1.0}), "choose one of loose, tight with"),
    ],
)
def test_mistakes_name_file_and_structure(
    mhff: Here, model: Path, tmp_path: Path, spoil: Callable[[Atoms], Atoms], sentence: str
) -> None:
    frames = read(write_data(tmp_path, "tight", 2), "2:")
    frames[1] = spoil(frames[1])
    for frame in frames:
        frame.info.pop("REF_stress", None)  # a stress of another cell
    write(tmp_path / "a.traj", frames)
    refusal = refusal_of(mhff("eval", model, tmp_path / "a.traj"))
    assert re.match(f"structure 2 of '.*a.traj'.*({sentence})", refusal)
