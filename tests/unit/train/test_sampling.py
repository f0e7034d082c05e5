"""Which structures an epoch sees, how often, in which order; shares of processes."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from mhff.train.sampling import Sampling, batches, shares


def test_each_structure_once_by_default() -> None:
    sampling = Sampling([3, 5], [1.0, 1.0], temperature=1.0, seed=2)
    generator = torch.Generator().manual_seed(2 * 1_000_003 + 7)
    assert sampling.order(7) == torch.randperm(8, generator=generator).tolist()
    assert sampling.order(7) == sampling.order(7) != sampling.order(8)
    assert len(sampling) == 8


def test_temperature_by_hand() -> None:
    """Groups of 400 and 4: at T = 2 in the ratio of 20 to 2, so 400 and 40 structures."""
    sampling = Sampling([400, 4], [1.0, 1.0], temperature=2.0, seed=0)
    assert sampling.counts == (400, 40)
    seen = Counter(sampling.order(0))
    assert {seen[number] for number in range(400)} == {1}
    assert {seen[number] for number in range(400, 404)} == {10}


def test_a_hot_epoch_has_equal_numbers_of_all_groups() -> None:
    assert Sampling([1000, 10], [1.0, 1.0], temperature=1e9, seed=0).counts == (1000, 1000)


def test_repeats() -> None:
    """Whole repetitions of all, and in turn some once more."""
    sampling = Sampling([10, 4], [0.5, 2.5], temperature=1.0, seed=3)
    assert sampling.counts == (5, 10)
    totals: Counter[int] = Counter()
    for epoch in range(400):
        seen = Counter(sampling.order(epoch))
        assert sorted(seen[number] for number in range(10)) == [0] * 5 + [1] * 5
        assert sorted(seen[number] for number in range(10, 14)) == [2, 2, 3, 3]
        totals += seen
    for number in range(14):
        expected = 400 * (0.5 if number < 10 else 2.5)
        assert abs(totals[number] - expected) < 5 * 400**0.5 / 2, "five standard deviations"


def test_a_small_group_is_never_left_out() -> None:
    assert Sampling([100, 2, 0], [1.0, 0.1, 1.0], temperature=1.0, seed=0).counts == (100, 1, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_shares_are_a_batch(size: int, parts: int) -> None:
    order = list(range(11))
    cut = batches(order, 4)
    assert [list(batch) for batch in cut] == [order[:4], order[4:8], order[8:]]
    for batch in cut:
        found = [shares(batch, rank, size, parts) for rank in range(size)]
        assert sorted(number for own in found for part in own for number in part) == list(batch)
        assert all(len(own) <= parts and all(own) for own in found)
        lengths = [sum(map(len, own)) for own in found]
        assert max(lengths) - min(lengths) <= 1
