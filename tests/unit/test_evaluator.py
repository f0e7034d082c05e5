"""The eager model as an evaluator: gradient modes, copies, numbers that are not finite."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from models import tiny_model
from structures import ELEMENTS, rattled_bulk

from mhff import MHFFCalculator, MHFFError, Model
from mhff.atoms import graph_from_atoms
from mhff.evaluator import EagerEvaluator, check_finite
from mhff.graph import Graph

MODES = (torch.no_grad, torch.inference_mode)


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


def inputs(model: Model) -> tuple[Graph, torch.Tensor]:
    graph = graph_from_atoms(rattled_bulk(), ELEMENTS, model.r_max)
    return graph, torch.ones(graph.n_local, len(model.heads), dtype=torch.float64)


@pytest.mark.parametrize("mode", MODES)
def test_gradient_modes_of_the_caller_do_not_matter(model: Model, mode: type) -> None:
    """A model failed inside `inference_mode`, and stayed broken where it was opened inside."""
    expected = EagerEvaluator(model).evaluate(*inputs(model))
    with mode():
        built_inside = EagerEvaluator(model)
        found = built_inside.evaluate(*inputs(model))
    for evaluate in (built_inside.evaluate, EagerEvaluator(model).evaluate):
        for one, again, right in zip(found, evaluate(*inputs(model)), expected, strict=True):
            assert torch.equal(one, right)
            assert torch.equal(again, right)


@pytest.mark.parametrize("mode", MODES)
def test_a_model_made_inside_a_gradient_mode_works(mode: type) -> None:
    expected = EagerEvaluator(tiny_model()).evaluate(*inputs(tiny_model()))
    with mode():
        made_inside = tiny_model()
    for found, right in zip(
        EagerEvaluator(made_inside).evaluate(*inputs(made_inside)), expected, strict=True
    ):
        assert torch.equal(found, right)


@pytest.mark.parametrize("mode", MODES)
def test_a_calculator_works_in_every_gradient_mode(model: Model, mode: type) -> None:
    atoms = rattled_bulk()
    atoms.calc = MHFFCalculator(model, head="materials", form="eager")
    expected = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    with mode():
        atoms.calc = MHFFCalculator(model, head="materials", form="eager")
        inside = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    atoms.calc.reset()
    after = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    for found, again, right in zip(inside, after, expected, strict=True):
        np.testing.assert_array_equal(found, right)
        np.testing.assert_array_equal(again, right)


def test_copies_share_one_evaluator(model: Model) -> None:
    evaluator = EagerEvaluator(model)
    assert copy.deepcopy([evaluator]) == [evaluator]


@pytest.mark.parametrize(
    ("energy", "force"), [(np.nan, 0.0), (np.inf, 0.0), (0.0, np.nan), (0.0, -np.inf)]
)
def test_numbers_that_are_not_finite_are_refused(energy: float, force: float) -> None:
    with pytest.raises(
        MHFFError,
        match=r"^expected finite numbers, got the energy .* two atoms coincide .* shorter",
    ):
        check_finite(energy, np.array([[0.0, 0.0, force]]))


def test_finite_numbers_are_fine() -> None:
    check_finite(-1.0, np.zeros((0, 3)))
