"""How many of torch's threads an evaluation takes: as many as make it faster.

Threads wait for one another some thirty times in a step. So a molecule is faster on one, and where
another process is busy on a core, all threads wait for the one that shares it. Neither can be known
beforehand, so evaluations are timed. A size's first ones take one thread, two, four, as long as
each is faster than the last. Later a neighbouring number is tried now and then, the more rarely the
slower it was, and taken once it is faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

N_FIRST = 3
"""Evaluations with a number of threads that is tried for the first time; the fastest counts."""
MIN_GAIN = 0.97
"""Another number of threads is taken if it needs at most this share of the time."""
MEMORY = 0.3
"""Weight of the latest evaluation in the mean time of an evaluation."""
MAX_COST = 0.01
"""Share of all time that may be lost by trying other numbers of threads."""
MIN_PAUSE = 100
"""Evaluations between trials, at least."""


class Threads:
    """The numbers of threads of a program, by the number of pairs that it evaluates."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._choices: dict[tuple[int, int], Choice] = {}

    @contextmanager
    def for_pairs(self, n_pairs: int) -> Iterator[None]:
        """Within, torch has as many of its threads as this many pairs are evaluated fastest with.

        What is evaluated within is timed.
        """
        available = torch.get_num_threads()
        if available == 1:
            yield
            return
        key = available, n_pairs.bit_length()
        if key not in self._choices:
            self._choices[key] = Choice(ladder(available))
        choice = self._choices[key]
        torch.set_num_threads(choice.n_threads)
        start = self._clock()
        try:
            yield
        finally:
            elapsed = self._clock() - start
            torch.set_num_threads(available)
        choice.took(elapsed / max(n_pairs, 1))


def ladder(available: int) -> tuple[int, ...]:
    """Numbers of threads that are tried: powers of two, and all."""
    powers = [1 << power for power in range(available.bit_length())]
    return tuple(dict.fromkeys([*(n for n in powers if n < available), available]))


@dataclass
class Choice:
    """Which of some numbers of threads evaluations of one size take."""

    numbers: tuple[int, ...]
    """Ascending."""
    best: int = 0
    """Position of the number that is fastest, as far as is known."""
    tried: int = 0
    """Position of the number that the next evaluation takes."""
    times: dict[int, float] = field(default_factory=dict)
    """Time of an evaluation, by position."""
    first: list[float] = field(default_factory=list)
    """Times of a number that is tried for the first time."""
    pause: float = MIN_PAUSE
    """Evaluations until the next trial."""
    upwards: bool = False
    """Whether the latest trial was with more threads."""

    @property
    def n_threads(self) -> int:
        """Threads of the next evaluation."""
        return self.numbers[self.tried]

    def took(self, seconds: float) -> None:
        """Learn the time of an evaluation with `n_threads`, and choose those of the next."""
        self.first.append(seconds)
        if self.tried not in self.times and len(self.first) < N_FIRST:
            return
        self._learn(self.first)
        self.first = []
        fastest = min(self.times, key=lambda position: self.times[position])
        if self.times[fastest] < MIN_GAIN * self.times[self.best]:
            self.best = fastest
        self.tried = self._next()

    def _learn(self, seconds: list[float]) -> None:
        known = self.times.get(self.tried)
        if self.tried == self.best and known is not None:
            self.times[self.tried] = known + MEMORY * (min(seconds) - known)
        else:
            self.times[self.tried] = min(seconds)

    def _next(self) -> int:
        """The best, the next higher one if it is unknown, or a neighbour after a pause."""
        above = self.best + 1
        if above < len(self.numbers) and above not in self.times:
            return above
        lost = self.times[self.tried] / self.times[self.best] - 1
        self.pause = max(self.pause - 1, lost / MAX_COST)
        if self.pause > 0:
            return self.best
        self.pause = MIN_PAUSE
        self.upwards = not self.upwards
        neighbours = [place for place in (self.best - 1, above) if place in self.times]
        return neighbours[-1 if self.upwards else 0]
