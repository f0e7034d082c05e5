"""Progress of a long command: a bar with the time left, or lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mhff.durations import in_words

SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def progress(total: int, done: int, things: str) -> Iterator[Callable[[int], None]]:
    """Show how many of the `total` things are done; call what is returned with each new number."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console, total, done, things)
        return
    columns = (TextColumn(things), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), TextColumn("left"), console=console) as bar:
        task = bar.add_task(things, total=total, completed=done)
        yield lambda number: bar.advance(task, number)


class _Lines:
    """A line about every minute."""

    def __init__(self, console: Console, total: int, done: int, things: str) -> None:
        self.console = console
        self.total = total
        self.things = things
        self.done = done
        self._first = done
        self._began = monotonic()
        self._printed = self._began

    def __call__(self, number: int) -> None:
        self.done += number
        now = monotonic()
        if now - self._printed < SECONDS_BETWEEN_LINES:
            return
        self._printed = now
        pace = (now - self._began) / (self.done - self._first)
        left = in_words(pace * (self.total - self.done))
        line = f"{self.done} of {self.total} {self.things}, {left} left"
        self.console.print(line, highlight=False)
