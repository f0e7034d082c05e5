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
from mhff.ops.lists import REFERENCE, ListOperators, library_list_operators, near_edges, near_pairs

R_MAX = 1.0
R_MIN = 0.3
LIMIT = 0.5
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-14}


@pytest.fixture(scope="module", params=ROUNDING)
def kernels(request: pytest.FixtureRequest) -> tuple[ListOperators, torch.dtype]:
    """Operators of pairs in a library without parts of a model, and its precision."""
    library, namespace = build({}, request.param, kernel_folder())
    load(library, namespace, {})
    return library_list_operators(namespace), request.param


def listed(n_atoms: int, n_pairs: int) -> tuple[torch.Tensor, ...]:
    """Positions, atoms and shifts of points, and the senders and begins of random pairs."""
    rng = np.random.default_rng(n_pairs)
    n_points = 3 * n_atoms
    positions, shifts = rng.normal(size=(n_atoms, 3)), rng.normal(size=(n_points, 3))
    shifts[:n_atoms] = rng.integers(-2, 3, (n_atoms, 3))
    atoms = np.arange(n_points) % n_atoms
    receivers = rng.integers(0, n_atoms, n_pairs)
    begin = np.concatenate([[0], np.bincount(receivers, minlength=n_atoms).cumsum()])
    senders = rng.integers(0, n_points, n_pairs)
    indices = (torch.from_numpy(array.astype(np.int32)) for array in (atoms, senders))
    atoms_of_points, senders_of_pairs = indices
    return (
        torch.from_numpy(positions),
        atoms_of_points,
        torch.from_numpy(shifts),
        senders_of_pairs,
        torch.from_numpy(begin),
    )


SIZES = st.sampled_from([0, 1, 50, 4095, 4096, 4097, 20_000])


@given(
    n_pairs=SIZES,
    r_max=st.sampled_from([0.1, R_MAX, 100.0]),
    moved=st.sampled_from([0.0, 0.4, 0.6, float("nan")]),
    n_threads=st.integers(1, 2),
)
@example(n_pairs=8192, r_max=100.0, moved=0.0, n_threads=2)
@settings(deadline=None, max_examples=30)
def test_kernels_pick_what_plain_torch_picks(
    kernels: tuple[ListOperators, torch.dtype],
    n_pairs: int,
    r_max: float,
    moved: float,
    n_threads: int,
) -> None:
    operators, dtype = kernels
    positions, *pairs = listed(30, n_pairs)
    before = positions.clone()
    before[17, 1] += moved
    arguments = (positions, before, *pairs, r_max, R_MIN, LIMIT)
    with threads(n_threads):
        vectors, index, checks = operators.near_edges(*arguments)
        senders, begin = operators.near_pairs(positions, *pairs, r_max)
    expected, expected_index, expected_checks = near_edges(*arguments)
    assert vectors.dtype is dtype
    assert torch.equal(index, expected_index)
    torch.testing.assert_close(vectors, expected.to(dtype), rtol=0, atol=8 * ROUNDING[dtype])
    assert checks.tolist() == expected_checks.tolist()
    assert bool(checks[0]) == (moved <= LIMIT)
    expected_senders, expected_begin = near_pairs(positions, *pairs, r_max)
    assert senders.dtype is torch.int32
    assert torch.equal(senders, expected_senders)
    assert torch.equal(begin, expected_begin)
    assert index.shape[1] == (len(senders) if checks[0] else 0)


def test_near_edges_by_hand() -> None:
    """The cutoff is strict, the vector points from the sender's image to the receiver."""
    positions = torch.tensor([[0.0, 0, 0], [7.0, 0, 3.5]], dtype=torch.float64)
    atoms = torch.tensor([0, 1, 1, 0, 1], dtype=torch.int32)
    shifts = torch.zeros(5, 3, dtype=torch.float64)
    shifts[[1, 2, 4], 0] = -7.0
    shifts[:, 2] = torch.tensor([0.0, 0.0, -4.5, 4.5, -3.0])
    senders = torch.tensor([1, 2, 4, 3], dtype=torch.int32)  # 3.5, -1.0, 0.5 and 4.5 along z
    begin = torch.tensor([0, 3, 4])
    pairs = (atoms, shifts, senders, begin)
    found = near_edges(positions, positions, *pairs, R_MAX, R_MIN, 0.0)
    assert found[0].tolist() == [[0, 0, -0.5]]
    assert found[1].tolist() == [[1], [0]]
    assert found[2].tolist() == [1, 0]
    assert [each.tolist() for each in near_pairs(positions, *pairs, R_MAX)] == [[4], [0, 1, 1]]
    assert near_edges(positions, positions, *pairs, R_MAX, 0.6, 0.0)[2].tolist() == [1, 1]
    far = near_edges(positions, positions + 0.1, *pairs, R_MAX, 0.6, 0.17)
    assert far[2].tolist() == [0, 0]
    assert far[1].shape == (2, 0)


@given(n_edges=SIZES, n_atoms=st.sampled_from([1, 7, 300]))
@settings(deadline=None, max_examples=20)
def test_results_of_edges(
    kernels: tuple[ListOperators, torch.dtype], n_edges: int, n_atoms: int
) -> None:
    operators, dtype = kernels
    rng = np.random.default_rng(0)
    index = torch.from_numpy(np.sort(rng.integers(0, n_atoms, (2, n_edges)), axis=1))
    gradients = torch.from_numpy(rng.normal(size=(n_edges, 3))).to(dtype)
    energies, weights = torch.from_numpy(rng.normal(size=(2, n_atoms, 3)))
    expected = np.zeros((n_atoms, 3))
    np.add.at(expected, index[0].numpy(), gradients.double().numpy())
    np.subtract.at(expected, index[1].numpy(), gradients.double().numpy())
    for found in (operators, REFERENCE):
        forces, totals = found.results_of_edges(gradients, index, energies, weights, 2.0, 5.0)
        assert forces.dtype is torch.float64
        np.testing.assert_allclose(forces.numpy(), 5 * expected, rtol=0, atol=1e-10)
        energy = 2 * float((energies * weights).sum())
        assert totals.tolist() == pytest.approx(
            [energy, 5 * float(gradients.double().sum())], abs=1e-9
        )


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_shows_in_the_totals(
    kernels: tuple[ListOperators, torch.dtype], wrong: float
) -> None:
    operators, dtype = kernels
    gradients = torch.ones(50, 3, dtype=dtype)
    gradients[31, 1] = wrong
    index, heads = torch.zeros(2, 50, dtype=torch.int64), torch.ones(4, 2, dtype=torch.float64)
    for found in (operators, REFERENCE):
        _, totals = found.results_of_edges(gradients, index, heads, heads, 1.0, 1.0)
        assert totals[0] == 8.0
        assert not torch.isfinite(totals[1])
