"""Installed packages compared with those that mhff requires, without importing any of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

MINIMUM = re.compile(r"([\w.-]+)\s*>=\s*([\d.]+)")
EXTRA = re.compile(r"extra\s*==\s*['\"](\w+)['\"]")


class Requirement(NamedTuple):
    """A package, the lowest version that mhff accepts, and the version that is installed."""

    name: str
    minimum: str
    installed: str | None

    @property
    def complaint(self) -> str:
        """The reason why the installed version does not do, or an empty text."""
        if self.installed is None:
            return f"{self.name} is not installed"
        if numbers(self.installed) < numbers(self.minimum):
            return f"{self.name} {self.installed} is older than {self.minimum}"
        return ""


def requirements(extra: str = "") -> Iterator[Requirement]:
    """Requirements of mhff itself, or those of one of its extras."""
    for line in requires("mhff") or ():
        found = MINIMUM.match(line)
        of_extra = EXTRA.search(line)
        if found and (of_extra[1] if of_extra else "") == extra:
            yield Requirement(found[1], found[2], installed_version(found[1]))


def installed_version(name: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def numbers(text: str) -> tuple[int, ...]:
    """The numbers of a version, to be compared: 2.13.0+cpu gives (2, 13, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0]))
