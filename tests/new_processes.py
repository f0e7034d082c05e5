"""What processes that are no copies of this one run in tests; they import it by its name."""

from __future__ import annotations

import os
from typing import NamedTuple

TAKEN: list[str] = []
"""The devices that this process has taken."""


class Seen(NamedTuple):
    """What a process tells of itself."""

    argument: int
    process: int
    taken: tuple[str, ...]
    """The devices that it had taken when it was given its function."""


class Witness:
    """A function that tells which device it was opened on."""

    def __init__(self) -> None:
        self.taken = tuple(TAKEN)

    def __reduce__(self) -> tuple[type[Witness], tuple[()]]:
        return Witness, ()

    def __call__(self, argument: int) -> Seen:
        return Seen(argument, os.getpid(), self.taken)


def take(devices: tuple[str, ...], number: int) -> None:
    """Stands for `mhff.devices.take_gpu`."""
    TAKEN.append(devices[number % len(devices)])
