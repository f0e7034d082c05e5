"""Threads of the ranks of a machine."""

from __future__ import annotations

from mhff_lammps.devices import n_threads

FOUR = frozenset(range(4))


def test_ranks_on_the_same_cores_share_them() -> None:
    assert [n_threads([FOUR, FOUR], place) for place in (0, 1)] == [2, 2]
    assert n_threads([FOUR] * 3, 1) == 1
    assert n_threads([FOUR] * 9, 0) == 1


def test_ranks_bound_to_their_own_cores_keep_them() -> None:
    bound = [frozenset({0, 1}), frozenset({2, 3})]
    assert [n_threads(bound, place) for place in (0, 1)] == [2, 2]


def test_a_single_rank_has_all() -> None:
    assert n_threads([FOUR], 0) == 4
