"""Numbers of threads: found where they help, given up where they do not, and tried again rarely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import torch

from mhff_deploy.artefact.threads import MAX_COST, Choice, Threads, ladder

MANY = 4000


class Machine:
    """Times of evaluations by number of threads, and a clock that they move."""

    def __init__(self, seconds: Mapping[int, float]) -> None:
        self.seconds = dict(seconds)
        self.now = 0.0
        self.taken: list[int] = []

    def clock(self) -> float:
        return self.now

    def evaluate(self, threads: Threads, times: int = 1, n_pairs: int = 1000) -> None:
        for _ in range(times):
            with threads.for_pairs(n_pairs):
                self.taken.append(torch.get_num_threads())
                self.now += self.seconds[self.taken[-1]]


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 1.0, 2: 3.0, 4: 9.0}, 1),
        ({1: 1.0, 2: 0.6, 4: 0.9}, 2),
        ({1: 1.0, 2: 0.6, 4: 0.4}, 4),
    ],
)
def test_the_fastest_is_found_and_its_search_costs_little(
    seconds: dict[int, float], best: int
) -> None:
    machine = Machine(seconds)
    threads = Threads(machine.clock)
    machine.evaluate(threads, MANY)
    assert machine.taken.count(best) > 0.98 * MANY
    assert machine.now < (1 + 2 * MAX_COST) * MANY * seconds[best]
    assert torch.get_num_threads() == 4


@pytest.mark.usefixtures("four_threads")
def test_more_threads_are_not_tried_where_two_do_not_help() -> None:
    machine = Machine({1: 1.0, 2: 2.0, 4: 100.0})
    machine.evaluate(Threads(machine.clock), MANY)
    assert 4 not in machine.taken


@pytest.mark.usefixtures("four_threads")
def test_a_busy_core_is_left_at_once_and_taken_again_later() -> None:
    quiet, busy = {1: 1.0, 2: 0.6, 4: 0.4}, {1: 1.0, 2: 12.0, 4: 20.0}
    machine = Machine(quiet)
    threads = Threads(machine.clock)
    machine.evaluate(threads, 100)
    machine.seconds, begin = busy, machine.now
    machine.evaluate(threads, MANY)
    assert machine.taken[-MANY + 2 :].count(1) > 0.99 * MANY
    assert machine.now - begin < (1 + 3 * MAX_COST) * MANY + 2 * busy[4]
    machine.seconds = quiet
    machine.evaluate(threads, MANY)
    assert machine.taken[-100:].count(4) > 90


@pytest.mark.usefixtures("four_threads")
def test_sizes_are_apart() -> None:
    threads, small, large = Threads(), Machine({1: 1.0, 2: 2.0}), Machine({1: 1.0, 2: 0.5, 4: 0.3})
    for machine, n_pairs in ((small, 0), (large, 1 << 20)):
        threads._clock = machine.clock
        machine.evaluate(threads, MANY, n_pairs)
    assert (small.taken[-1], large.taken[-1]) == (1, 4)


def test_one_thread_is_not_timed() -> None:
    def no_clock() -> float:
        raise AssertionError("expected no look at the clock, because there is no choice")

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with Threads(no_clock).for_pairs(10):
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("four_threads")
def test_an_error_is_passed_on_and_threads_come_back() -> None:
    threads = Threads()
    with pytest.raises(ZeroDivisionError), threads.for_pairs(10):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 4


def test_numbers_that_are_tried() -> None:
    assert [ladder(n) for n in (2, 3, 6, 8)] == [(1, 2), (1, 2, 3), (1, 2, 4, 6), (1, 2, 4, 8)]
    assert Choice((1, 2)).n_threads == 1
