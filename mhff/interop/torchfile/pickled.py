"""What a pickle that is read as data holds, beside plain Python values: names, calls, dictionaries,
storages; all inert.

`opcodes.read_pickle` makes these values. None of them can be called, imported, hashed by content or
compared.
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
        """The name with its module; `builtins` also where a pickle uses the name of Python 2,
        `__builtin__`.
        """
        return f"{'builtins' if self.module == '__builtin__' else self.module}.{self.name}"

    def __repr__(self) -> str:
        return f"<{quoted(self.path)}>"


@dataclass(slots=True, eq=False)
class Pairs:
    """What a pickle would make a dictionary: keys and values in order, nothing hashed."""

    items: list[tuple[Any, Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{len(self.items)} pairs>"


@dataclass(slots=True, eq=False)
class Record:
    """What a pickle would call or make: the callable (a Global, or whatever else stood there),
    arguments, what was added.
    """

    what: Any
    args: Any
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: Pairs = field(default_factory=Pairs)

    @property
    def path(self) -> str:
        """Path of the callable, empty where it is not a name."""
        return self.what.path if isinstance(self.what, Global) else ""

    def __repr__(self) -> str:
        return f"<record of {quoted(self.path)}>"


@dataclass(frozen=True, slots=True, eq=False)
class PersistentId:
    """What torch's pickles say instead of a storage."""

    value: Any


def described(value: object) -> str:
    """What kind of value a pickle holds, for a sentence."""
    if isinstance(value, Global):
        return f"the name {quoted(value.path)}"
    if isinstance(value, Record):
        return f"an object {quoted(value.path)}"
    names = {Pairs: "a dictionary", PersistentId: "a storage", NoneType: "nothing"}
    return names.get(type(value), f"a value of type {type(value).__name__}")


@dataclass(frozen=True)
class Pickled:
    """A pickle's value, and every name and every record in it, without the need to walk the value."""

    value: Any
    names: list[Global]
    records: list[Record]
