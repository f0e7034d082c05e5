"""Plain Python values from those of a pickle, for a short list of types; the rest stays inert."""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

from mhff.interop.torchfile.pickled import Global, Pairs, Record, described
from mhff.interop.torchfile.refusals import DamagedError, quoted
from mhff.interop.torchfile.tensors import Storages, is_tensor

MAX_VALUES = 200_000
"""Values that one file may expand to.

Published models have about 12 000, modules included, and with cuequivariance's polynomials up to
110 000.
"""
MAX_LEVELS = 32
"""Levels of nesting, of values in values and of modules in modules."""

_NUMPY_ARRAYS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
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
    state: Any = None
    """Plain state, of classes whose states are read."""

    def __repr__(self) -> str:
        return f"<{quoted(self.path)}>"


class Plain:
    """Converts values of one pickle to trees of bounded size and depth, without shared parts."""

    def __init__(self, storages: Storages, with_states: Collection[str] = ()) -> None:
        """`with_states` are dotted paths of the classes whose objects' states are read."""
        self._storages = storages
        self._with_states = frozenset(with_states)
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
            case path, _ if path in _NUMPY_ARRAYS:
                return self._array(record, level)
        args = self(record.args, level + 1)
        is_read = record.path in self._with_states
        return Inert(record.path, args, self(record.state, level + 1) if is_read else None)

    def _array(self, record: Record, level: int) -> torch.Tensor:
        """A numpy array of float64 as a tensor."""
        match record.args, record.state:
            case (
                (Global(path="numpy.ndarray"), (0,), _),
                (int(), tuple() as shape, Record() as dtype, False, content),
            ):
                data = self(content, level + 1)
                if _number_format(dtype) == "<d" and isinstance(data, bytes):
                    self.spend(len(data) // 8)
                    return _filled(data, shape)
        raise DamagedError("it has a numpy array of an unknown type")

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
        found = _number_format(dtype)
        if found is not None:
            layout = struct.Struct(found)
            if isinstance(content, bytes) and len(content) == layout.size:
                return layout.unpack(content)[0]
        raise DamagedError("it has a numpy number of an unknown type")


def _number_format(dtype: Record) -> str | None:
    """Format of `struct` for a number of numpy in the machine's byte order."""
    match dtype.path, dtype.args, dtype.state:
        case "numpy.dtype", (str() as code, *_), (_, "<" | "|", *_):
            return _NUMPY_FORMATS.get(code)
    return None


def _filled(data: bytes, shape: tuple[Any, ...]) -> torch.Tensor:
    """Numbers of float64 in an array of this shape."""
    is_shape = len(shape) <= MAX_LEVELS and all(type(n) is int and 0 <= n < 2**31 for n in shape)
    if not is_shape or prod(shape) * 8 != len(data):
        raise DamagedError("it has a numpy array whose numbers do not fit its shape")
    numbers = torch.tensor(struct.unpack(f"<{len(data) // 8}d", data), dtype=torch.float64)
    return numbers.reshape(shape)
