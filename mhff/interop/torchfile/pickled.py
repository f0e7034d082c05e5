"""The inert values of a pickle that is read as data: names, calls, dictionaries, storages.

`opcodes.read_pickle` makes them, beside plain Python values. None of them can be called, imported,
hashed by content or compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from mhff.interop.torchfile.refusals import quoted


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A name that a pickle would import."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """The name with its module; Python 2's `__builtin__` reads `builtins`."""
        return f"{'builtins' if self.module == '__builtin__' else self.module}.{self.name}"

    def __repr__(self) -> str:
        return f"<{quoted(self.path)}>"


@dataclass(slots=True, eq=False)
class Pairs:
    """A dictionary of a pickle: keys and values in order, nothing hashed."""

    items: list[tuple[Any, Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{len(self.items)} pairs>"


@dataclass(slots=True, eq=False)
class Record:
    """A call or a new object of a pickle."""

    what: Any
    """The callable: a Global, or any value that stood in its place."""
    args: Any
    state: Any = None
    items: list[Any] = field(default_factory=list)
    """Items that were appended."""
    pairs: Pairs = field(default_factory=Pairs)
    """Keys and values that were set."""

    @property
    def path(self) -> str:
        """Path of the callable, empty if it is not a name."""
        return self.what.path if isinstance(self.what, Global) else ""

    def __repr__(self) -> str:
        return f"<record of {quoted(self.path)}>"


@dataclass(frozen=True, slots=True, eq=False)
class PersistentId:
    """The reference of a torch pickle to a storage."""

    value: Any


def described(value: object) -> str:
    """The kind of a value of a pickle, for a sentence."""
    if isinstance(value, Global):
        return f"the name {quoted(value.path)}"
    if isinstance(value, Record):
        return f"an object {quoted(value.path)}"
    names = {Pairs: "a dictionary", PersistentId: "a storage", NoneType: "nothing"}
    return names.get(type(value), f"a value of type {type(value).__name__}")


@dataclass(frozen=True)
class Pickled:
    """A pickle's value, and all names and records in it, so that no walk is needed to find them."""

    value: Any
    names: list[Global]
    records: list[Record]
