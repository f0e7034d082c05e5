"""A program that kills training runs: `python killed_runs.py FOLDER NUMBER`.

FOLDER has whole.yaml and killed-0.yaml to killed-(NUMBER - 1).yaml. The first run is left in peace.
Each of the others is killed once and started again; every second one while it writes a file. All
are children of this process, so that torch is imported once.
"""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

import mhff.files
from mhff.train.run import Run
from mhff.train.settings import read_settings

SEED = 14


def train(config: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Start a run in a process of its own; returns the number of the process."""
    child = os.fork()
    if child:
        return child
    try:
        prepare()
        Run(read_settings(config)).train(Console(file=io.StringIO()))
    except BaseException as error:
        print(f"{config}: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def finish(child: int) -> bool:
    """Whether a run came to its end; exits if it failed in any other way than by being killed."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        sys.exit("a run failed")
    return True


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_write(number: int, how: str) -> Callable[[], None]:
    """Kill a run in its file of this number: half written, before or after it is renamed."""
    files = iter(range(sys.maxsize))

    def fsync(descriptor: int) -> None:
        if next(files) == number:
            if how == "half":
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                die()
            Path.replace = renaming  # type: ignore[method-assign]

    def renaming(source: Path, target: Any) -> Any:
        if how == "before":
            die()
        os.replace(source, target)
        die()

    def prepare() -> None:
        mhff.files.os.fsync = fsync  # type: ignore[attr-defined]

    return prepare


def moments(seconds: float, n_files: int) -> Iterator[tuple[float | None, Callable[[], None]]]:
    """Delays after which a run is killed, in turn with preparations by which it kills itself."""
    draw = random.Random(SEED)
    while True:
        yield draw.uniform(0, seconds), lambda: None
        number = draw.randrange(n_files)
        yield None, kill_in_write(number, draw.choice(["half", "before", "after"]))


def kill(config: Path, delay: float | None, prepare: Callable[[], None]) -> bool:
    """Start a run and kill it; whether it was still running."""
    child = train(config, prepare)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    return not finish(child)


def main(folder: Path, number: int) -> None:
    Run(read_settings(folder / "whole.yaml"))  # so that the children find its tables made
    start = time.perf_counter()
    finish(train(folder / "whole.yaml"))
    seconds = time.perf_counter() - start
    n_files = 3 * (4 + 3)  # in each epoch a checkpoint after each step; model, log, checkpoint
    following = moments(seconds, n_files)
    for index in range(number):
        config = folder / f"killed-{index}.yaml"
        while not kill(config, *next(following)):
            (folder / f"killed-{index}" / "last.ckpt").unlink()  # too late: once more
        if not finish(train(config)):
            sys.exit("a run was killed that should not have been")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
