"""Work in other processes whose results come in order, however many processes there are."""

from __future__ import annotations

import copyreg
import gc
import io
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from mhff.errors import MHFFError
from mhff.files import write_atomically

Argument = TypeVar("Argument")
Result = TypeVar("Result")
PREFETCH = 4
"""Results that each process keeps ready."""
READING = "lower data.workers, or set it to 0"
"""Advice for processes that read structures for training."""


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def chunks(n: int, size: int) -> list[range]:
    """The numbers below `n` in ranges of `size`, the last of which may be shorter."""
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def ordered(
    function: Callable[[Argument], Result],
    arguments: Iterable[Argument],
    n_workers: int,
    advice: str = READING,
    start: Callable[[int], None] | None = None,
) -> Iterator[Result]:
    """`function` of every argument, in their order, computed ahead by `n_workers` processes.

    The results do not depend on the number of processes; with 0 the caller computes them itself.
    Arguments are asked for as they are needed, somewhat ahead of the results. The processes are
    copies of this one and compute with one thread each. With `start`, which each calls once with
    its number, before it has `function`, they are new ones: CUDA does not survive in a copy.
    Raises the MHFFError that `function` raises, and one for a process that is killed, with `advice`
    for running out of memory.
    """
    if n_workers == 0:
        yield from map(function, arguments)
        return
    with _sendable(function, start is not None) as sendable:
        loader = DataLoader(
            _Calls(sendable),
            batch_size=None,
            sampler=arguments,
            num_workers=min(n_workers, _useful(arguments)),
            prefetch_factor=PREFETCH,
            multiprocessing_context="fork" if start is None else "spawn",
            collate_fn=_as_it_is,
            worker_init_fn=start or _leave_alone,
        )
        for content in _told(loader, advice):
            result = pickle.loads(content)
            if isinstance(result, MHFFError):
                raise result
            yield result


@contextmanager
def _sendable(
    function: Callable[[Argument], Result], is_to_new: bool
) -> Iterator[Callable[[Argument], Result]]:
    """The function for copies of this process, or for new ones: in a file.

    Python sends a new process its arguments through a pipe, and waits forever if they are long and
    the process ends before it has read them.
    """
    if not is_to_new:
        yield function
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "function"
        write_atomically(file, _packed(function))
        yield _Sent(file)


def _useful(arguments: Iterable[Any]) -> int:
    """The number of processes that arguments can keep busy."""
    return max(len(arguments), 1) if isinstance(arguments, Sized) else sys.maxsize


def _told(loader: Iterable[bytes], advice: str) -> Iterator[bytes]:
    """The contents; raises MHFFError if a process is killed, as it is when memory runs out."""
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        reason = " ".join(str(error).split())
        raise MHFFError(
            f"a worker process has ended ({reason}); if memory ran out, {advice}"
        ) from error


class _Calls(Dataset[bytes]):
    """The results as bytes: tensors would travel in shared memory, which containers limit."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __getitem__(self, argument: Any) -> bytes:
        try:
            return _packed(self.function(argument))
        except MHFFError as error:  # torch would put a traceback into the sentence
            return _packed(MHFFError(str(error)))


@dataclass(frozen=True)
class _Sent:
    """A function that a new process opens at the first call, after it has started."""

    file: Path

    @cached_property
    def function(self) -> Callable[[Any], Any]:
        """The function; each process has its own."""
        opened: Callable[[Any], Any] = pickle.loads(self.file.read_bytes())
        return opened

    def __call__(self, argument: Any) -> Any:
        return self.function(argument)


def _packed(result: Any) -> bytes:
    """A result as bytes; tensors as arrays, which is ten times as fast as torch's own way."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = copyreg.dispatch_table | {torch.Tensor: _as_array}
    pickler.dump(result)
    return stream.getvalue()


def _as_array(tensor: torch.Tensor) -> tuple[Callable[..., torch.Tensor], tuple[Any, ...]]:
    return torch.from_numpy, (tensor.numpy(),)


def _as_it_is(content: Any) -> Any:
    return content


def _leave_alone(_: int) -> None:
    """Leave what the parent has alone: collecting garbage would copy it page by page."""
    gc.freeze()
