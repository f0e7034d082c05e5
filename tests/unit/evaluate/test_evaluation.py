"""Evaluation: numbers against the ASE calculator, tables, parity plots, the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from click.testing import Result
from labelled import E0S, write_data
from matplotlib.image import imread
from models import random_model
from tolerances import ROUNDING, Tolerance, assert_close
from typer.testing import CliRunner

from mhff.calculator import MHFFCalculator
from mhff.cli.evaluate import evaluate
from mhff.data.reading import read_structures
from mhff.errors import MHFFError
from mhff.evaluate.errors import Comparison, errors, group_by_type, grouped
from mhff.evaluate.evaluation import evaluate_structures
from mhff.evaluate.table import markdown
from mhff.evaluator import EagerEvaluator
from mhff.modelfile import Model

N_CELLS = 5
WRITTEN = Tolerance(1e-5, 1e-5)
"""Errors, meV, of labels that one of two files holds with eight decimals."""


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model(heads=tuple(E0S), elements=("H", "O"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Cells of both heads in one file; the first of head `tight` has no forces and no stress."""
    frames = [
        frame
        for seed, head in enumerate(E0S)
        for frame in read(write_data(tmp_path, head, N_CELLS, seed), ":")
    ]
    first = next(frame for frame in frames if frame.info["head"] == "tight" and len(frame) > 1)
    del first.arrays["REF_forces"], first.info["REF_stress"]
    first.info["config_type"] = "bare"
    write(tmp_path / "both.extxyz", frames, format="extxyz")
    return tmp_path / "both.extxyz"


def run_command(*arguments: str) -> Result:
    """`mhff eval`; errors of users come out as MHFFError."""
    app = typer.Typer()
    app.command()(evaluate)
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    if result.exception is not None:
        raise result.exception
    return result


def command(*arguments: str) -> str:
    """What `mhff eval` prints, notes left out."""
    return run_command(*arguments).stdout


def test_errors_by_hand() -> None:
    forces = (np.zeros((2, 3)), np.array([[0.1, 0, 0], [0, 0, -0.5]]))
    stress = (np.zeros((3, 3)), np.diag([0.01, 0.02, 0.0]))
    one = Comparison("a", "x", np.array([0, 1]), energy=(-4.0, -3.9), forces=forces, stress=stress)
    other = Comparison(
        "a", "x", np.zeros(5, dtype=int), energy=(1.0, 0.5), forces=None, stress=None
    )
    result = errors([one, other])
    assert result.energy == pytest.approx(1e3 * (0.1 / 2 + 0.5 / 5) / 2)
    assert result.forces == pytest.approx(1e3 * 0.6 / 6)
    assert result.stress == pytest.approx(1e3 * 0.03 / 6)
    assert (result.structures, result.atoms, result.force_components, result.stress_structures) == (
        2,
        7,
        6,
        1,
    )
    assert errors([other]).forces is None


def test_the_table_agrees_with_the_calculator(model: Model, data: Path) -> None:
    structures = read_structures(data)
    result = grouped(evaluate_structures(EagerEvaluator(model), structures), group_by_type)
    members = [item for item in structures if item.head == "loose" and not item.is_isolated_atom]
    energy, forces, stress = [], [], []
    for item in members:
        atoms = item.atoms.copy()
        atoms.calc = MHFFCalculator(model, head="loose", form="eager")
        energy.append(abs(atoms.get_potential_energy() - item.energy) / len(atoms))
        forces.append(np.abs(atoms.get_forces() - item.forces))
        stress.append(np.abs(atoms.get_stress(voigt=False) - item.stress)[np.triu_indices(3)])
    found = result["loose", "cell"]
    assert_close(
        [found.energy, found.forces, found.stress],
        [1e3 * np.mean(x) for x in (energy, forces, stress)],
        ROUNDING,
    )
    assert list(result) == [("loose", "cell"), ("tight", "bare"), ("tight", "cell")]
    assert result["tight", "bare"].forces is None
    assert result["tight", "cell"].structures == N_CELLS - 1


def test_a_head_for_all_structures(model: Model, data: Path) -> None:
    comparisons = evaluate_structures(EagerEvaluator(model), read_structures(data), head="tight")
    assert {item.head for item in comparisons} == {"tight"}
    assert len(comparisons) == 2 * N_CELLS


def test_structures_that_name_no_head(model: Model, data: Path) -> None:
    structures = read_structures(data, keys=None)
    nameless = [type(item)(item.atoms, item.energy) for item in structures]
    with pytest.raises(
        MHFFError, match=r"structure does not say .*: choose one of loose, tight with --head"
    ):
        evaluate_structures(EagerEvaluator(model), nameless)


def test_nothing_but_isolated_atoms(model: Model, data: Path) -> None:
    with pytest.raises(MHFFError, match="got none but isolated atoms"):
        evaluate_structures(
            EagerEvaluator(model), [item for item in read_structures(data) if item.is_isolated_atom]
        )


def test_markdown() -> None:
    comparison = Comparison(
        "a", "x", np.array([0, 1]), energy=(-4.0, -3.9), forces=None, stress=None
    )
    lines = markdown(grouped([comparison], group_by_type), ["head", "config type"]).splitlines()
    assert lines[2] == "| a | x | 1 | 2 | 50.0 | - | 0 | - | 0 |"
    assert len({line.count("|") for line in lines}) == 1


def test_the_command(model: Model, data: Path, tmp_path: Path) -> None:
    model.save(tmp_path / "m.mhff")
    plot = tmp_path / "parity.png"
    output = command(str(tmp_path / "m.mhff"), str(data), "--plot", str(plot))
    assert "loose" in output
    assert "bare" in output
    assert f"wrote {plot}" in output.replace("\n", "")
    assert imread(plot).std() > 0.05, "the picture is empty"


def test_the_command_completes_heads_and_prints_json(
    model: Model, data: Path, tmp_path: Path
) -> None:
    model.save(tmp_path / "m.mhff")
    assert "head: tight" in command(str(tmp_path / "m.mhff"), str(data), "--head", "ti")
    content = json.loads(command(str(tmp_path / "m.mhff"), str(data), "--json", "--stress-key", ""))
    assert content["tight"]["structures"] == N_CELLS
    assert content["tight"]["config_types"]["cell"]["structures"] == N_CELLS - 1
    assert content["loose"]["stress_structures"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--head", "x"], "unknown head 'x': this model has the heads loose, tight"),
        (["--energy-key", "E"], r"no energy under 'E' in .* set --energy-key to one of them$"),
        (["--energy-key", ""], "--energy-key is empty"),
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
    model: Model, data: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    model.save(tmp_path / "m.mhff")
    with pytest.raises(MHFFError, match=sentence):
        command(str(tmp_path / "m.mhff"), str(data), *arguments)


def relabelled(frame: Atoms) -> Atoms:
    """The frame with its labels in a calculator, as ASE writes them."""
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    labels = {"energy": frame.info["REF_energy"], "forces": frame.arrays.get("REF_forces")}
    atoms.calc = SinglePointCalculator(atoms, **labels, stress=frame.info.get("REF_stress"))
    return atoms


@pytest.mark.parametrize("name", ["a.traj", "a.db", "a.json", "a.xyz"])
def test_what_ase_writes(model: Model, tmp_path: Path, name: str) -> None:
    model.save(tmp_path / "m.mhff")
    frames = read(write_data(tmp_path, "tight", N_CELLS, seed=1), "2:")
    write(tmp_path / "ref.xyz", frames)
    write(tmp_path / name, [relabelled(frame) for frame in frames])
    expected, found = (
        json.loads(command(str(tmp_path / "m.mhff"), str(tmp_path / file), "--head", "t", "--json"))
        for file in ("ref.xyz", name)
    )
    assert found["tight"]["stress_structures"] == N_CELLS
    expected, found = expected["tight"], found["tight"]
    for key in ("energy_mae_meV_per_atom", "force_mae_meV_per_A", "stress_mae_meV_per_A3"):
        assert_close(found[key], expected[key], WRITTEN)


def test_labels_that_are_not_used_are_said(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.mhff")
    frames = read(write_data(tmp_path, "tight", 2), "2:")
    frames[0].info["total_charge"] = -1
    frames[1].info["n_charge"] = 2
    write(tmp_path / "a.xyz", frames)
    result = run_command(str(tmp_path / "m.mhff"), str(tmp_path / "a.xyz"), "--json")
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
    model: Model, tmp_path: Path, spoil: Callable[[Atoms], Atoms], sentence: str
) -> None:
    model.save(tmp_path / "m.mhff")
    frames = read(write_data(tmp_path, "tight", 2), "2:")
    frames[1] = spoil(frames[1])
    for frame in frames:
        frame.info.pop("REF_stress", None)  # a stress of another cell
    write(tmp_path / "a.traj", frames)
    with pytest.raises(MHFFError, match=f"structure 2 of '.*a.traj'.*({sentence})"):
        command(str(tmp_path / "m.mhff"), str(tmp_path / "a.traj"))
