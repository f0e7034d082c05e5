"""Tensors of a torch archive: checked views of its storages."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from mhff.interop.torchfile.archive import Archive
from mhff.interop.torchfile.pickled import Global, Pairs, PersistentId, Record
from mhff.interop.torchfile.refusals import DamagedError, quoted

_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_MAX_DIMENSIONS = 16
_MAX_EXTENT = 2**31
"""Largest size or stride; the product of two of them does not overflow a machine integer."""

_DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}


def is_tensor(value: object) -> bool:
    """Whether a value of a pickle stands for a plain tensor or parameter."""
    return isinstance(value, Record) and value.path in (_TENSOR, *_PARAMETERS)


class Storages:
    """The storages of one archive, and the tensors that its pickle makes of them."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._storages: dict[str, torch.Tensor] = {}

    def tensor(self, value: object) -> torch.Tensor:
        """The tensor that a record stands for, a view of its storage's bytes.

        Raises DamagedError if the value is not a tensor or does not fit its storage.
        """
        if isinstance(value, Record) and value.path in _PARAMETERS and value.args:
            value = value.args[0]
        if not isinstance(value, Record) or value.path != _TENSOR or len(value.args) not in (6, 7):
            raise DamagedError("it has another value where a tensor belongs")
        storage, offset, size, stride, _, _, *metadata = value.args
        if metadata not in ([], [None]) and not (
            isinstance(metadata[0], Pairs) and not metadata[0].items
        ):
            raise DamagedError("a tensor has metadata")
        flat = self._storage(storage)
        _check_view(flat, offset, size, stride)
        return flat.as_strided(size, stride, offset)

    def _storage(self, value: object) -> torch.Tensor:
        """A storage as a tensor with one axis."""
        match value.value if isinstance(value, PersistentId) else None:
            case ("storage", Global() as kind, str() as key, str(), int() as length):
                pass
            case _:
                raise DamagedError("a tensor has no storage")
        if kind.path not in _DTYPES:
            raise DamagedError(f"a tensor has a storage of kind {quoted(kind.path)}")
        dtype = _DTYPES[kind.path]
        name = f"data/{key}"
        if name not in self._storages:
            self._storages[name] = _flat(self._archive[name], dtype, name)
        flat = self._storages[name]
        if flat.dtype != dtype or len(flat) != length:
            raise DamagedError(
                f"storage {quoted(name)} is {len(flat)} numbers of {flat.dtype}, but its "
                "pickle says otherwise"
            )
        return flat


def _flat(data: memoryview, dtype: torch.dtype, name: str) -> torch.Tensor:
    if len(data) % dtype.itemsize:
        raise DamagedError(f"storage {quoted(name)} ends within a number")
    if not len(data):
        return torch.empty(0, dtype=dtype)
    if dtype == torch.bool and torch.frombuffer(data, dtype=torch.uint8).max() > 1:
        raise DamagedError(
            f"storage {quoted(name)} has truth values that are neither true nor false"
        )
    flat = torch.frombuffer(data, dtype=dtype)
    is_aligned = flat.data_ptr() % dtype.itemsize == 0  # torch aligns storages, others may not
    return flat if is_aligned else flat.clone()


def _check_view(flat: torch.Tensor, offset: Any, size: Any, stride: Any) -> None:
    """Raise DamagedError for a view beyond its storage or with more elements (expanded) than it."""
    if not (all(map(_are_extents, ((offset,), size, stride))) and len(size) == len(stride)):
        raise DamagedError("a tensor has no proper offset, size and stride")
    if prod(n for n in size if n) > _MAX_EXTENT:  # also of empty tensors
        raise DamagedError("a tensor is larger than any file")
    count = prod(size)
    last = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    end = offset + last + 1 if count else offset
    if count > len(flat) or end > len(flat):
        raise DamagedError(f"a tensor lies outside its storage of {len(flat)} numbers")


def _are_extents(values: Any) -> bool:
    return (
        type(values) is tuple
        and len(values) <= _MAX_DIMENSIONS
        and all(type(value) is int and 0 <= value <= _MAX_EXTENT for value in values)
    )
