"""Products with the Hessian: which atoms, how many at once, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models import tiny_model
from structures import ELEMENTS, rattled_bulk, triclinic
from tolerances import ROUNDING, SAME_NUMBERS, assert_close_to_scale

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.evaluator import EagerEvaluator
from mhff.model.curvature import Curvature, chosen_atoms, symmetrised
from mhff.model.network import Network


def of_four_atoms(max_copies: int) -> Curvature:
    model = tiny_model()
    graph = graph_from_atoms(triclinic(), ELEMENTS, model.r_max)
    weights = torch.full((4, 3), 0.5, dtype=torch.float64)
    return Curvature(EagerEvaluator(model).network, graph, weights, max_copies)


def test_copies_side_by_side_give_what_each_gives_alone() -> None:
    alone, together = of_four_atoms(1), of_four_atoms(5)
    assert (alone.n_copies, together.n_copies) == (1, 5)
    atoms = np.arange(4)
    assert_close_to_scale(together.rows(atoms), alone.rows(atoms), SAME_NUMBERS)


def test_large_structures_are_treated_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "edges_at_once", 1)
    assert of_four_atoms(5).n_copies == 1


def test_rows_are_products_with_unit_vectors() -> None:
    products = of_four_atoms(5)
    vectors = np.random.default_rng(3).normal(size=(7, 4, 3))
    rows = products.rows(np.arange(4))
    expected = (vectors.reshape(7, -1) @ rows).reshape(vectors.shape)
    assert_close_to_scale(products.products(vectors), expected, ROUNDING)


def test_in_inference_mode() -> None:
    expected = of_four_atoms(2).rows(np.array([1]))
    with torch.inference_mode():
        assert np.array_equal(of_four_atoms(2).rows(np.array([1])), expected)


def kept_bytes(repeats: int) -> int:
    """Memory of the autograd graph for `8 repeats` atoms in a row."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model = tiny_model()
    graph = graph_from_atoms(rattled_bulk().repeat((repeats, 1, 1)), ELEMENTS, model.r_max)
    weights = torch.ones(graph.n_local, 3, dtype=torch.float64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        products = Curvature(EagerEvaluator(model).network, graph, weights, 1)
    assert products.rows(np.arange(1)).shape == (3, 24 * repeats)
    return sum(kept.values())


def test_memory_is_linear_in_the_number_of_atoms() -> None:
    assert kept_bytes(12) / kept_bytes(4) == pytest.approx(3, rel=0.02)


def test_atoms_by_numbers_and_by_a_mask() -> None:
    assert chosen_atoms(None, 3).tolist() == [0, 1, 2]
    assert chosen_atoms([2, 0], 3).tolist() == [2, 0]
    assert chosen_atoms([True, False, True], 3).tolist() == [0, 2]
    assert chosen_atoms([], 3).tolist() == []


@pytest.mark.parametrize("indices", [[3], [-1], [1, 1], [0.5], [[0]], "all", [True, False]])
def test_wrong_atoms(indices) -> None:
    with pytest.raises(MHFFError, match="different atoms from 0 to 2"):
        chosen_atoms(indices, 3)


def test_an_asymmetry_beyond_rounding_is_refused() -> None:
    hessian = np.array([[2.0, 1.0], [1.0 + 1e-12, 3.0]])
    assert symmetrised(hessian)[0, 1] == symmetrised(hessian)[1, 0]
    for wrong in (1.0 + 1e-6, np.nan):
        hessian[1, 0] = wrong
        with pytest.raises(MHFFError, match="symmetric"):
            symmetrised(hessian)
