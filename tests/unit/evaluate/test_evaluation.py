"""Evaluation of structures: numbers against the ASE calculator, heads, charges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from labelled import E0S, both_heads, labelled_frame
from models import random_model
from structures import rattled_bulk
from tolerances import ROUNDING, assert_close

from mhff.calculator import MHFFCalculator
from mhff.data.reading import read_structures
from mhff.errors import MHFFError
from mhff.evaluate.errors import group_by_type, grouped
from mhff.evaluate.evaluation import evaluate_structures
from mhff.evaluator import EagerEvaluator
from mhff.mixes import parse_mix
from mhff.modelfile import Model

N_CELLS = 5


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model(heads=tuple(E0S), elements=("H", "O"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return both_heads(tmp_path, N_CELLS)


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
        [found.energy.mae, found.forces.mae, found.stress.mae],
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


def test_a_mix_is_not_the_head_of_labels(model: Model, data: Path) -> None:
    """A program whose default is a mix has no head for structures that name none."""
    evaluator = EagerEvaluator(model)
    half = {"mixes": (parse_mix("half=0.5*loose+0.5*tight"),), "default_head": "half"}
    evaluator.capabilities = evaluator.capabilities.model_copy(update=half)
    nameless = [type(item)(item.atoms, item.energy) for item in read_structures(data, keys=None)]
    with pytest.raises(MHFFError, match=r"choose one of loose, tight with --head"):
        evaluate_structures(evaluator, nameless)


def test_nothing_but_isolated_atoms(model: Model, data: Path) -> None:
    with pytest.raises(MHFFError, match="got only isolated atoms"):
        evaluate_structures(
            EagerEvaluator(model), [item for item in read_structures(data) if item.is_isolated_atom]
        )


@pytest.mark.parametrize(("charge", "spin"), [("charge", "spin"), ("total_charge", "total_spin")])
def test_the_state_enters_under_both_spellings(tmp_path: Path, charge: str, spin: str) -> None:
    """total_charge and total_spin, mace-torch's names, were ignored."""
    model = random_model("omol")
    states = [(0.0, 1.0), (1.0, 2.0), (-1.0, 3.0)]
    frames = [labelled_frame(rattled_bulk(), **{charge: q, spin: s}) for q, s in states]
    write(tmp_path / "a.xyz", frames, format="extxyz")
    head = model.heads.names[0]
    comparisons = evaluate_structures(
        EagerEvaluator(model), read_structures(tmp_path / "a.xyz"), head
    )
    found = [item.energy[1] for item in comparisons]
    expected = []
    for q, s in states:
        atoms = rattled_bulk()
        atoms.info = {"charge": q, "spin": s}
        atoms.calc = MHFFCalculator(model, head=head, form="eager")
        expected.append(atoms.get_potential_energy())
    assert_close(found, expected, ROUNDING)
    assert len(set(np.round(expected, 6))) == len(states), "the state must matter"
