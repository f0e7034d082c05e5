"""Settings of a file as values of the type that they should have.

A file may hold anything where mace-torch has a number. Each function takes such a value and raises
UnknownModelError, naming the setting, for everything else. Numbers may come as tensors of one
element; numpy's are Python's already.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from mhff.interop.mace.refusals import UnknownModelError
from mhff.interop.torchfile.refusals import quoted

MAX_INTEGER = 10**9


def real(value: Any, name: str) -> float:
    """A finite number."""
    number = _number(value, name)
    if not math.isfinite(number):
        raise _unexpected("a finite number", value, name)
    return float(number)


def integer(value: Any, name: str) -> int:
    """An integer of moderate size."""
    number = _number(value, name)
    if not abs(number) <= MAX_INTEGER or number != int(number):
        raise _unexpected("an integer", value, name)
    return int(number)


def count(value: Any, name: str) -> int:
    """An integer from 1."""
    number = integer(value, name)
    if number < 1:
        raise _unexpected("an integer from 1", value, name)
    return number


def counts(value: Any, name: str) -> tuple[int, ...]:
    """A list of integers from 1."""
    if not isinstance(value, list | tuple):
        raise _unexpected("a list of integers", value, name)
    return tuple(count(item, name) for item in value)


def flag(value: Any, name: str) -> bool:
    """True or false; None is false, and so is an empty list."""
    if value is None or value == [] or value is False:
        return False
    if value is True:
        return True
    return bool(integer(value, name))


def _number(value: Any, name: str) -> int | float:
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if type(value) not in (int, float):
        raise _unexpected("a number", value, name)
    number: int | float = value
    return number


def _unexpected(expected: str, value: Any, name: str) -> UnknownModelError:
    return UnknownModelError(f"expected {expected} for {name}, got {quoted(value)}")
