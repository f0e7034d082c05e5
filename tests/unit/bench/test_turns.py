"""Turns of workers; nothing here depends on how fast a machine is."""

from __future__ import annotations

from typing import Any

import pytest

from mhff_bench.turns import steps_of_a_block, take_turns
from mhff_bench.worker import Worker


class Clockwork(Worker):
    """A worker without a process whose steps take `seconds` each."""

    def __init__(self, name: str, seconds: float, log: list[str]) -> None:
        self.name = name
        self.seconds = seconds
        self.log = log

    def ask(self, request: str, value: Any) -> dict[str, Any]:
        assert request == "run"
        self.log.append(f"{self.name} {value}")
        adapter = value * self.seconds / 10 if self.name == "b" else None
        return {"wall": value * self.seconds, "cpu": value * self.seconds, "adapter": adapter}


def test_workers_take_turns_and_each_begins_a_round() -> None:
    log: list[str] = []
    workers = [Clockwork(name, 0.1, log) for name in "abc"]
    times = take_turns(workers, 3, 0.2, [1, 1, 5])
    assert log == [
        *("a 1", "b 1", "c 1"),
        *("a 2", "b 2", "c 5"),
        *("b 2", "c 5", "a 2"),
        *("c 5", "a 2", "b 2"),
    ]
    assert [taken.n_steps for taken in times] == [2, 2, 5]
    assert [len(taken.wall) for taken in times] == [3, 3, 3]
    assert times[0].wall == pytest.approx([0.1, 0.1, 0.1])
    assert times[0].adapter == []
    assert times[1].adapter == pytest.approx([0.01, 0.01, 0.01])


@pytest.mark.parametrize(
    ("seconds", "min_steps", "n_steps"),
    [(0.01, 1, 30), (5.0, 1, 1), (0.1, 50, 50), (1e-9, 50, 2000)],
)
def test_a_block_has_as_many_steps_as_fit(seconds: float, min_steps: int, n_steps: int) -> None:
    assert steps_of_a_block(Clockwork("a", seconds, []), 0.3, min_steps) == n_steps
