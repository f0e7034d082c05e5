"""Plain Python values from those of a pickle, for a short list of types; the rest stays inert."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from mhff.interop.torchfile.pickled import Global, Pairs, Record, described
from mhff.interop.torchfile.refusals import DamagedError, quoted
from mhff.interop.torchfile.tensors import Storages, is_tensor

MAX_VALUES = 100_000
"""Values that one file may expand to; published models have about 12 000, modules included."""
MAX_LEVELS = 32
"""Levels of nesting, of values in values and of modules in modules."""

_NUMPY_SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_NUMPY_FORMATS = {
    "f8": "<d",
    "f4": "<f",
    "i8": "<q",
    "i4": "<i",
    "i2": "<h",
    "i1": "<b",
    "u8": "<Q",
    "u4": "<I",
    "b1": "<?",
}


@dataclass(frozen=True, eq=False)
class Inert:
    """An object or call of a file that is not converted to a plain value."""

    path: str
    """Dotted path of its class or function."""
    args: tuple[Any, ...]
    """Plain arguments."""

    def __repr__(self) -> str:
        return f"<{quoted(self.path)}>"


class Plain:
    """Converts values of one pickle to trees of bounded size and depth, without shared parts."""

    def __init__(self, storages: Storages) -> None:
        self._storages = storages
        self._left = MAX_VALUES

    def spend(self, amount: int) -> None:
        """Count work; a few shared parts in a pickle can expand to any number of values."""
        self._left -= amount
        if self._left < 0:
            raise DamagedError("its pickle expands to too many values")

    def __call__(self, value: Any, level: int = 0) -> Any:
        """The plain value: numbers, str, bytes, None, tensors; list, tuple, set and dict of these.

        The keys of a dict are str. Everything else becomes a Global or an Inert.
        """
        self.spend(1)
        if level > MAX_LEVELS:
            raise DamagedError("its pickle is nested too deeply")
        if isinstance(value, Pairs):
            return self._dictionary(value, level)
        if isinstance(value, list):
            return [self(item, level + 1) for item in value]
        if isinstance(value, tuple):
            return tuple(self(item, level + 1) for item in value)
        if isinstance(value, Record):
            return self._converted(value, level)
        is_plain = isinstance(value, None | bool | int | float | str | bytes | Global)
        return value if is_plain else Inert("", ())

    def entries(self, value: Any) -> dict[str, Any]:
        """A dict or OrderedDict with str keys; its values stay as they are in the pickle."""
        if isinstance(value, Record) and value.path == "collections.OrderedDict":
            value = value.pairs
        if not isinstance(value, Pairs):
            raise DamagedError(f"its pickle has {described(value)} where a dictionary belongs")
        self.spend(len(value.items))
        found: dict[str, Any] = {}
        for key, item in value.items:
            if not isinstance(key, str) or key in found:
                raise DamagedError("its pickle has a dictionary with odd or repeated keys")
            found[key] = item
        return found

    def _dictionary(self, value: Pairs, level: int) -> Any:
        self.spend(len(value.items))
        if not all(isinstance(key, str) for key, _ in value.items):
            return Inert("builtins.dict", ())  # crafted keys can be slow to hash
        return {key: self(item, level + 1) for key, item in self.entries(value).items()}

    def _converted(self, record: Record, level: int) -> Any:
        if is_tensor(record):
            return self._storages.tensor(record)
        match record.path, record.args:
            case "collections.OrderedDict", ():
                return self._dictionary(record.pairs, level)
            case "_codecs.encode", (str() as text, "latin1"):
                return self._encoded(text)
            case "builtins.bytes", ():
                return b""
            case "torch.Size", (tuple() as sizes,):
                return self(sizes, level)
            case "builtins.set" | "builtins.frozenset", ([*items],):
                return self._set([*items, *record.items])
            case "builtins.set", ():
                return self._set(record.items)
            case path, (Record() as dtype, content) if path in _NUMPY_SCALARS:
                return self._number(dtype, self(content, level + 1))
        args = self(record.args, level + 1)
        return Inert(record.path, args)

    def _encoded(self, text: str) -> bytes:
        """Bytes as protocol 2 writes them."""
        self.spend(len(text) // 1000)
        try:
            return text.encode("latin1")
        except UnicodeEncodeError as error:
            raise DamagedError("its pickle has text where bytes belong") from error

    def _set(self, items: list[Any]) -> set[str]:
        self.spend(len(items))
        if not all(isinstance(item, str) for item in items):
            raise DamagedError("its pickle has a set of something other than text")
        return set(items)

    def _number(self, dtype: Record, content: Any) -> Any:
        """A numpy scalar as a Python number."""
        match dtype.path, dtype.args, dtype.state:
            case "numpy.dtype", (str() as code, *_), (_, "<" | "|", *_) if code in _NUMPY_FORMATS:
                layout = struct.Struct(_NUMPY_FORMATS[code])
                if isinstance(content, bytes) and len(content) == layout.size:
                    return layout.unpack(content)[0]
        raise DamagedError("it has a numpy number of an unknown type")
