"""Outcomes of stacks, in their order: here at first, in worker processes once that pays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from mhff.evaluator import Evaluator
from mhff.many.evaluation import Outcome, Request, evaluate
from mhff.many.processes import in_processes
from mhff.many.stacks import Stack


def outcomes(
    evaluator: Evaluator, request: Request, stacks: Iterable[Stack], n_workers: int
) -> Iterator[Outcome]:
    """The outcome of each stack.

    A model that is not compiled yet computes here, so that it is compiled once. So does a stack
    that is the only one. All others go to `n_workers` processes.
    """
    function = partial(evaluate, evaluator, request)
    waiting = iter(stacks)
    for stack in waiting:
        if n_workers and evaluator.is_ready(_symbols(stack, evaluator)):
            second = next(waiting, None)
            if second is not None:
                rest = chain([stack, second], waiting)
                device = evaluator.capabilities.device
                yield from in_processes(function, rest, device, n_workers)
                return
        yield function(stack)


def _symbols(stack: Stack, evaluator: Evaluator) -> list[str]:
    elements = evaluator.capabilities.elements
    return [elements[index] for index in sorted({*stack.species.tolist()})]
