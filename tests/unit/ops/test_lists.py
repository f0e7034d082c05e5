"""Edges of pairs and forces on atoms: kernels against plain torch, and both against the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from threads import threads

from mhff.files import kernel_folder
from mhff.ops.cpu.build import build
from mhff.ops.cpu.library import load
from mhff.ops.lists import REFERENCE, ListOperators, library_list_operators, near_pairs

R_MAX = 1.0
R_MIN = 0.3
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-14}


@pytest.fixture(scope="module", params=ROUNDING)
def kernels(request: pytest.FixtureRequest) -> tuple[ListOperators, torch.dtype]:
    """Operators of pairs in a library without parts of a model, and its precision."""
    library, namespace = build({}, request.param, kernel_folder())
    load(library, namespace, {})
    return library_list_operators(namespace), request.param


def pairs(n_atoms: int, n_pairs: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Positions, pairs sorted by receiver, and shifts of two images."""
    rng = np.random.default_rng(n_pairs)
    index = rng.integers(0, max(n_atoms, 1), (3, n_pairs))
    index[1].sort()
    index[2] %= 2
    positions, shifts = rng.normal(size=(n_atoms, 3)), rng.normal(size=(2, 3))
    return (
        torch.from_numpy(positions),
        torch.from_numpy(index.astype(np.int32)),
        torch.from_numpy(shifts),
    )


SIZES = st.sampled_from([0, 1, 50, 4095, 4096, 4097, 20_000])


@given(n_pairs=SIZES, r_max=st.sampled_from([0.1, R_MAX, 100.0]), n_threads=st.integers(1, 2))
@example(n_pairs=8192, r_max=100.0, n_threads=2)
@settings(deadline=None, max_examples=20)
def test_near_pairs(
    kernels: tuple[ListOperators, torch.dtype], n_pairs: int, r_max: float, n_threads: int
) -> None:
    operators, dtype = kernels
    arguments = pairs(30, n_pairs)
    with threads(n_threads):
        vectors, index, n_close = operators.near_pairs(*arguments, r_max, R_MIN)
    expected, expected_index, expected_close = near_pairs(*arguments, r_max, R_MIN)
    assert vectors.dtype is dtype
    assert torch.equal(index, expected_index)
    torch.testing.assert_close(vectors, expected.to(dtype), rtol=0, atol=ROUNDING[dtype])
    assert n_close.tolist() == expected_close.tolist()


def test_near_pairs_by_hand() -> None:
    """The cutoff is strict, the vector points from the sender's image to the receiver."""
    positions = torch.tensor([[0.0, 0, 0], [0, 0, 3.5]], dtype=torch.float64)
    shifts = torch.tensor([[0.0, 0, 0], [0, 0, 4.0], [0, 0, -4.5]], dtype=torch.float64)
    indices = torch.tensor([[1, 1, 0], [0, 0, 1], [0, 2, 1]], dtype=torch.int32)
    vectors, index, n_close = near_pairs(positions, indices, shifts, R_MAX, R_MIN)
    assert vectors.tolist() == [[0, 0, -0.5]]
    assert index.tolist() == [[0], [1]]
    assert n_close.tolist() == [0]
    assert near_pairs(positions, indices, shifts, R_MAX, 0.6)[2].tolist() == [1]


@given(n_edges=SIZES, n_atoms=st.sampled_from([1, 7, 300]))
@settings(deadline=None, max_examples=20)
def test_atom_forces(
    kernels: tuple[ListOperators, torch.dtype], n_edges: int, n_atoms: int
) -> None:
    operators, dtype = kernels
    _, indices, _ = pairs(n_atoms, n_edges)
    index = indices[:2].to(torch.int64)
    gradients = torch.from_numpy(np.random.default_rng(0).normal(size=(n_edges, 3))).to(dtype)
    expected = np.zeros((n_atoms, 3))
    np.add.at(expected, index[0].numpy(), gradients.double().numpy())
    np.subtract.at(expected, index[1].numpy(), gradients.double().numpy())
    for found in (operators, REFERENCE):
        forces = found.atom_forces(gradients, index, n_atoms)
        assert forces.dtype is torch.float64
        np.testing.assert_allclose(forces.numpy(), expected, rtol=0, atol=1e-11)
