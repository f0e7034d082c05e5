"""Evaluation: numbers against the ASE calculator, tables, parity plots, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from ase.io import read, write
from labelled import E0S, write_data
from matplotlib.image import imread
from models import random_model
from tolerances import ROUNDING, assert_close
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


def command(*arguments: str) -> str:
    """Output of `mhff eval`; errors of users come out as MHFFError."""
    app = typer.Typer()
    app.command()(evaluate)
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    if result.exception is not None:
        raise result.exception
    return result.output


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
        atoms.calc = MHFFCalculator(model, head="loose")
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
    with pytest.raises(MHFFError, match="choose one of loose, tight with --head"):
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
        (["--energy-key", "E"], "no energy under 'E'"),
    ],
)
def test_mistakes(
    model: Model, data: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    model.save(tmp_path / "m.mhff")
    with pytest.raises(MHFFError, match=sentence):
        command(str(tmp_path / "m.mhff"), str(data), *arguments)
