"""Worker processes: the order of results, errors, and processes that end."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator

import pytest
import torch

from mhff.errors import MHFFError
from mhff.workers import PREFETCH, ordered


def square(number: int) -> int:
    if number < 0:
        raise MHFFError(f"expected a positive number, got {number}")
    return number * number


@pytest.mark.parametrize("n_workers", [0, 1, 2])
def test_results_come_in_order(n_workers: int) -> None:
    assert list(ordered(square, range(20), n_workers)) == [n * n for n in range(20)]
    assert list(ordered(square, [], n_workers)) == []


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_sentence_stays_a_sentence(n_workers: int) -> None:
    """And comes after the results before it."""
    results = ordered(square, [1, 2, -3, 4], n_workers)
    assert [next(results), next(results)] == [1, 4]
    with pytest.raises(MHFFError, match=r"^expected a positive number, got -3$"):
        next(results)


def numbers(dtype: torch.dtype) -> torch.Tensor:
    return torch.arange(6).reshape(2, 3).to(dtype)


def test_tensors_arrive_as_they_are() -> None:
    dtypes = [torch.float64, torch.float32, torch.int64, torch.bool]
    for dtype, found in zip(dtypes, ordered(numbers, dtypes, 2), strict=True):
        assert found.dtype == dtype
        assert torch.equal(found, numbers(dtype))
        found.zero_()  # they can be written to


def killed_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_process_that_is_killed() -> None:
    with pytest.raises(MHFFError, match=r"a worker process has ended .*data\.workers"):
        list(ordered(killed_at_three, range(10), 1))


def fault(number: int) -> int:
    return number // 0


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ordered(fault, range(10), 1))


def test_processes_end_with_their_reader() -> None:
    before = set(multiprocessing.active_children())
    results = ordered(square, range(1000), 2)
    next(results)
    assert len(set(multiprocessing.active_children()) - before) == 2
    results.close()
    assert set(multiprocessing.active_children()) <= before


def test_arguments_are_asked_for_as_they_are_needed() -> None:
    """An endless stream of them is no obstacle."""
    asked = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            asked.append(number)
            yield number
            number += 1

    results = ordered(square, endless(), 2)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    results.close()
    assert len(asked) <= 5 + 2 * PREFETCH
