"""Taking turns: in every round each contender runs a block of steps.

Other work of the machine during a round then slows all contenders alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ase import Atoms

from mhff_bench.worker import Worker

MAX_STEPS = 2000
"""Largest number of steps in a block."""


@dataclass
class Times:
    """Seconds per step of one contender, one number for each round."""

    n_steps: int
    """Steps in a block."""
    wall: list[float]
    cpu: list[float]
    """Processor time of all threads of the process."""
    adapter: list[float]
    """Time in the engine's adapter; none without one."""


def as_request(atoms: Atoms) -> dict[str, Any]:
    """A system as workers take it; JSON keeps every digit."""
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell[:].tolist(),
        "pbc": atoms.pbc.tolist(),
    }


def steps_of_a_block(worker: Worker, seconds: float, min_steps: int) -> int:
    """Number of steps that take about this long, within the limits."""
    once = worker.ask("run", 1)["wall"]
    return min(MAX_STEPS, max(min_steps, round(seconds / once)))


def take_turns(
    workers: Sequence[Worker], rounds: int, seconds: float, min_steps: Sequence[int]
) -> list[Times]:
    """Times of all workers in blocks of about `seconds`; each round begins with another worker.

    `min_steps`: fewest steps in a block of each worker.
    """
    times = [
        Times(steps_of_a_block(worker, seconds, least), [], [], [])
        for worker, least in zip(workers, min_steps, strict=True)
    ]
    for first in range(rounds):
        for turn in range(len(workers)):
            index = (first + turn) % len(workers)
            own = times[index]
            taken = workers[index].ask("run", own.n_steps)
            own.wall.append(taken["wall"] / own.n_steps)
            own.cpu.append(taken["cpu"] / own.n_steps)
            if taken["adapter"] is not None:
                own.adapter.append(taken["adapter"] / own.n_steps)
    return times
