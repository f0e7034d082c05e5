"""Networks for some of a model's elements."""

from __future__ import annotations

import pytest
import structures
import torch
from tolerances import ROUNDING, assert_close

from mhff import MHFFError, Model
from mhff.atoms import graph_from_atoms
from mhff.evaluator import EagerEvaluator
from mhff_deploy.lowering.pruning import pruned

SUBSET = ("O", "Mg")


def test_a_network_for_fewer_elements_is_exact(model: Model) -> None:
    network = pruned(model, SUBSET[::-1])
    assert network.config.elements == SUBSET, "in the order of the model"
    atoms = structures.rattled_bulk()
    full = graph_from_atoms(atoms, model.elements, model.r_max)
    few = graph_from_atoms(atoms, SUBSET, model.r_max)
    weights = torch.ones(len(atoms), 3, dtype=torch.float64)
    expected, _ = EagerEvaluator(model).evaluate(full, weights)
    assert_close(network(few), expected, ROUNDING)


@pytest.mark.parametrize("elements", [["Fe"], ["Mg", "Xx"]])
def test_elements_that_the_model_lacks_are_refused(model: Model, elements: list[str]) -> None:
    with pytest.raises(MHFFError, match=r"this model has no element .*it knows H, C, N, O, Mg"):
        pruned(model, elements)


def test_no_elements_are_refused(model: Model) -> None:
    with pytest.raises(MHFFError, match=r"expected elements, got none: .* H, C, N, O, Mg; choose"):
        pruned(model, [])
