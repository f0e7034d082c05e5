"""Steps of several trajectories find their own lists."""

from __future__ import annotations

import numpy as np
import pytest
from all_pairs import assert_same_edges

from mhff import MHFFError
from mhff.neighbours import neighbour_list, neighbour_pairs
from mhff.trajectories import MAX_TRAJECTORIES, VerletLists

R_MAX = 3.0
SAME_VECTORS = 1e-12
"""A, of vectors that follow from displacements."""
OPEN = np.zeros((3, 3)), np.zeros(3, bool)
PERIODIC = np.ones(3, bool)


def count_searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the searches for neighbours from now on, in the first element."""
    count = [0]

    def counted(*arguments: object) -> object:
        count[0] += 1
        return neighbour_pairs(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("mhff.verlet.neighbour_pairs", counted)
    return count


@pytest.mark.parametrize("apart", [0.0, 5.0])
def test_alternating_trajectories_keep_their_lists(
    apart: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one start, or from two, five trajectories drift apart; each is searched for rarely."""
    rng = np.random.default_rng(0)
    positions = rng.uniform(0, 8, (5 if apart else 1, 30, 3)) * np.ones((5, 1, 1))
    velocities = rng.normal(0, 0.01, (5, 30, 3))
    lists = VerletLists(R_MAX, 1.0)
    searches = count_searches(monkeypatch)
    n_steps = 60
    for _ in range(n_steps):
        for number in range(5):
            vectors, index = lists.edges(positions[number], *OPEN)
            expected = neighbour_list(positions[number], *OPEN, R_MAX)
            assert_same_edges((index.numpy(), vectors.numpy()), expected, SAME_VECTORS)
        positions = positions + velocities
    assert searches[0] < 5 * n_steps / 4


def test_more_trajectories_than_lists_are_right_too() -> None:
    rng = np.random.default_rng(0)
    starts = rng.uniform(0, 8, (MAX_TRAJECTORIES + 3, 20, 3))
    lists = VerletLists(R_MAX, 1.0)
    for shift in (0.0, 0.1, 0.2):
        for start in starts:
            vectors, index = lists.edges(start + shift, *OPEN)
            expected = neighbour_list(start + shift, *OPEN, R_MAX)
            assert_same_edges((index.numpy(), vectors.numpy()), expected, SAME_VECTORS)


def test_a_refused_step_does_not_disturb_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = np.random.default_rng(0).uniform(0, 8, (20, 3))
    lists = VerletLists(R_MAX, 1.0)
    for shift in (0.0, 0.1):
        lists.edges(positions + shift, *OPEN)
    with pytest.raises(MHFFError, match="got NaN"):
        lists.edges(positions * np.nan, *OPEN)
    searches = count_searches(monkeypatch)
    lists.edges(positions + 0.2, *OPEN)
    assert searches[0] == 0


@pytest.mark.parametrize("n_contexts", [1, 3])
def test_trajectories_under_a_barostat_keep_their_lists(
    n_contexts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large boxes, whose corners move by more than the skin; trials are taken back or not."""
    rng = np.random.default_rng(0)
    cells = [60.0 * np.eye(3)] * n_contexts
    fractions = [rng.uniform(0, 1, (200, 3)) for _ in range(n_contexts)]
    lists = VerletLists(R_MAX, 1.0)
    searches = count_searches(monkeypatch)
    n_steps = 60
    for _ in range(n_steps):
        for number in range(n_contexts):
            trial = cells[number] * rng.uniform(0.98, 1.02)
            lists.edges(fractions[number] @ trial, trial, PERIODIC)
            if rng.random() < 0.5 and 55 < trial[0, 0] < 65:
                cells[number] = trial
            cell = cells[number]
            fractions[number] = fractions[number] + rng.normal(0, 2e-4, (200, 3))
            vectors, index = lists.edges(fractions[number] @ cell, cell, PERIODIC)
            expected = neighbour_list(fractions[number] @ cell, cell, PERIODIC, R_MAX)
            assert_same_edges((index.numpy(), vectors.numpy()), expected, SAME_VECTORS)
    assert searches[0] < n_contexts * n_steps / 5
