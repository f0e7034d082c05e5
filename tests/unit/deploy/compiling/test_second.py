"""Fast networks with second derivatives against the eager model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from models import CONFIGS, random_model
from structures import (
    ELEMENTS,
    adsorbate,
    close_contacts,
    far_apart,
    one_atom,
    slab,
    tiny_cell,
    triclinic,
)
from tolerances import ROUNDING, Tolerance, assert_close_to_scale

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.evaluator import EagerEvaluator
from mhff.model.curvature import Curvature, symmetrised
from mhff.model.network import Network
from mhff.modelfile import Model
from mhff_deploy.compiling.second import twice_differentiable

TABLES = Tolerance(1e-6, 1e-8)
"""Hessians with radial functions from tables, relative to the largest element."""
SMALL = {"n_channels": 8, "n_edge_channels": 8}
SMALLEST = SMALL | {"l_max": 2, "correlation": 2}
"""What a C++ compiler is done with soon."""


def hessian(network: Network, atoms, max_copies: int | None = None) -> np.ndarray:
    graph = graph_from_atoms(atoms, network.config.elements, network.config.r_max, (1.0, 2.0))
    generator = torch.Generator().manual_seed(2)
    shape = (len(atoms), len(network.config.heads))
    weights = torch.rand(shape, generator=generator, dtype=torch.float64)
    curvature = Curvature(network, graph, weights, max_copies or 3 * len(atoms))
    return symmetrised(curvature.rows(np.arange(len(atoms))))


def assert_same_hessians(model: Model, elements: Sequence[str]) -> None:
    eager = EagerEvaluator(model).network
    fast = twice_differentiable(model, elements)
    for build in (triclinic, tiny_cell, slab, close_contacts, far_apart, one_atom):
        atoms = build()
        assert_close_to_scale(hessian(fast, atoms), hessian(eager, atoms), TABLES)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_against_the_eager_model(name: str) -> None:
    assert_same_hessians(random_model(name, **SMALL), ELEMENTS)


@pytest.mark.slow
def test_of_the_smallest_model() -> None:
    model = random_model("mh1", **SMALLEST)
    assert_same_hessians(model, ELEMENTS)
    fast = twice_differentiable(model, ["O", "C", "Mg"])
    assert fast.config.elements == ("C", "O", "Mg")
    atoms = adsorbate()[-20:]
    one_at_a_time = hessian(fast, atoms, max_copies=1)
    assert_close_to_scale(one_at_a_time, hessian(fast, atoms), ROUNDING)


def test_a_model_without_kernels() -> None:
    with pytest.raises(MHFFError, match="multiples of 8"):
        twice_differentiable(random_model("mh1"), ["H", "O"])
