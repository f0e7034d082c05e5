"""Taking turns: in every round each contender runs a block of steps, so that whatever else the
machine does meets all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ase import Atoms

from mhff_bench.contenders import Contender

MOST_STEPS = 2000
"""Of a block."""


class Runner(Protocol):
    """What takes turns: a worker."""

    def ask(self, request: str, value: Any) -> dict[str, Any]:
        """See `mhff_bench.worker.Worker.ask`."""
        ...


@dataclass
class Times:
    """Seconds per step of one contender, one number for each round."""

    n_steps: int
    """Of a block."""
    wall: list[float]
    cpu: list[float]
    """Of all the process' threads."""


def as_request(atoms: Atoms) -> dict[str, Any]:
    """A system as workers take it; JSON keeps every digit."""
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell[:].tolist(),
        "pbc": atoms.pbc.tolist(),
    }


def steps_of_a_block(runner: Runner, seconds: float) -> int:
    """How many steps take about so long."""
    once = runner.ask("run", 1)["wall"]
    return min(MOST_STEPS, max(1, round(seconds / once)))


def take_turns(runners: Sequence[Runner], rounds: int, block: float) -> list[Times]:
    """Times of all runners, in blocks of about `block` seconds; each round begins with another
    runner.
    """
    times = [Times(steps_of_a_block(runner, block), [], []) for runner in runners]
    for first in range(rounds):
        for turn in range(len(runners)):
            index = (first + turn) % len(runners)
            taken = runners[index].ask("run", times[index].n_steps)
            times[index].wall.append(taken["wall"] / times[index].n_steps)
            times[index].cpu.append(taken["cpu"] / times[index].n_steps)
    return times


def peak_memory(contender: Contender, small: Atoms, atoms: Atoms) -> dict[str, int]:
    """Bytes: `loaded`, what a fresh process holds that has evaluated a small system, and `more`,
    what a step needs beside.

    The step makes its neighbour list, too.
    """
    with contender.start() as worker:
        worker.ask("prepare", as_request(small))
        worker.ask("run", 1)
        loaded = worker.ask("memory", "start")["bytes"]
        worker.ask("prepare", as_request(atoms))
        worker.ask("run", 1)
        return {"loaded": loaded, "more": max(0, worker.ask("memory", "peak")["bytes"] - loaded)}
