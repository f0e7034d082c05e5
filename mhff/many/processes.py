"""Processes for many structures: one for each core, or one for each GPU where there are several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from mhff.devices import gpus_of, take_gpu
from mhff.workers import n_cores, ordered

Argument = TypeVar("Argument")
Result = TypeVar("Result")
ADVICE = "lower memory= or workers="
"""Advice for worker processes that run out of memory."""
ADVICE_ON_GPUS = (
    f"{ADVICE}; a script must compute below `if __name__ == '__main__':`, or with workers=0"
)


def default_workers(device: str) -> int:
    """Worker processes for a device: one for each core or GPU, none if there is only one."""
    n = n_cores() if device == "cpu" else len(gpus_of(device))
    return n if n > 1 else 0


def in_processes(
    function: Callable[[Argument], Result],
    arguments: Iterable[Argument],
    device: str,
    n_workers: int,
) -> Iterator[Result]:
    """`function` of every argument, in their order, by processes that share the device's GPUs."""
    gpus = gpus_of(device)
    if not gpus:
        return ordered(function, arguments, n_workers, ADVICE)
    return ordered(function, arguments, n_workers, ADVICE_ON_GPUS, partial(take_gpu, gpus))
