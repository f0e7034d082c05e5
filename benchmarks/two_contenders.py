"""Two contenders in turns: times per atom, and the median of their ratios within a round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from ase import Atoms
from readme_table import markdown

from mhff_bench.contenders import Contender
from mhff_bench.turns import as_request, take_turns

ROUNDS = 15
SECONDS = 1.0
"""Time of a turn."""


def ratio(contender: Contender, base: Contender, atoms: Atoms) -> dict[str, Any]:
    """Microseconds per atom and step of both, and how many times the base's time the other takes.

    `spread` is half the distance of the ratios' quartiles.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(each.start()) for each in (contender, base)]
        for worker in workers:
            worker.ask("prepare", as_request(atoms))
            worker.ask("run", 1)
        least = [each.min_steps for each in (contender, base)]
        own, others = take_turns(workers, ROUNDS, SECONDS, least)
    ratios = [one / other for one, other in zip(own.wall, others.wall, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "atoms": len(atoms),
        "rounds": ROUNDS,
        "microseconds_per_atom": 1e6 * statistics.median(own.wall) / len(atoms),
        "base_microseconds_per_atom": 1e6 * statistics.median(others.wall) / len(atoms),
        "ratio": statistics.median(ratios),
        "spread": (quartiles[2] - quartiles[0]) / 2,
    }


def table(found: Mapping[str, Mapping[str, Any]], header: list[str]) -> str:
    """What `ratio` found, by case, as a table; `header`: of the case, the base and the other."""
    rows = [
        [
            case,
            f"{of_case['base_microseconds_per_atom']:.1f}",
            f"{of_case['microseconds_per_atom']:.1f}",
            f"{of_case['ratio']:.3f} +- {of_case['spread']:.3f}",
        ]
        for case, of_case in found.items()
    ]
    return markdown([*header, "ratio"], rows)
