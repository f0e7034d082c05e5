"""Outcomes of stacks, in their order: here at first, in worker processes once that pays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from mhff.evaluator import Evaluator
from mhff.many.evaluation import Outcome, Request, evaluate
from mhff.many.stacks import Stack
from mhff.workers import n_cores, ordered

ADVICE = "lower memory= or workers="
"""Advice for worker processes that run out of memory."""


def outcomes(
    evaluator: Evaluator, request: Request, stacks: Iterable[Stack], n_workers: int
) -> Iterator[Outcome]:
    """The outcome of each stack.

    A model that is not compiled yet computes here, so that it is compiled once. So does a stack
    that is the only one. All others go to `n_workers` processes, which are copies of this one.
    """
    function = partial(evaluate, evaluator, request)
    waiting = iter(stacks)
    for stack in waiting:
        if n_workers and evaluator.is_ready(_symbols(stack, evaluator)):
            second = next(waiting, None)
            if second is not None:
                rest = chain([stack, second], waiting)
                yield from ordered(function, rest, n_workers, ADVICE)
                return
        yield function(stack)


def default_workers(device: str) -> int:
    """Worker processes for a device: one for each core, none for a single core or a GPU."""
    return n_cores() if device == "cpu" and n_cores() > 1 else 0


def _symbols(stack: Stack, evaluator: Evaluator) -> list[str]:
    elements = evaluator.capabilities.elements
    return [elements[index] for index in sorted({*stack.species.tolist()})]
