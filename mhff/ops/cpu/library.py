"""Loads a library of kernels into torch, and hands out its operators."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mhff.ops.operators import COMMON, operators_of
from mhff.ops.registration import Call, Operator, declared, describe, find, once
from mhff.ops.shapes import Shape


def load(library: Path, namespace: str, shapes: Mapping[str, Shape]) -> dict[str, Call]:
    """Operators of a library that `build` made of these shapes, by `<shape's name><suffix>`."""
    load_library(library, namespace)
    return _described(namespace, _operators_by_kernel(shapes))


@contextmanager
def before_loading(namespace: str, shapes: Mapping[str, Shape]) -> Iterator[dict[str, Call]]:
    """Within, the operators that `load` will give: they can be traced, not run."""
    every = _operators_by_kernel(shapes)
    if is_loaded(namespace):
        yield _described(namespace, every)
        return
    with declared(namespace, every):
        yield _found(namespace, every)


def load_library(library: Path, namespace: str) -> None:
    """Load a library, unless this process has; compiled programs need no more.

    An engine may have loaded another copy, as metatomic does; a second would end the process.
    """

    def make() -> None:
        if not is_loaded(namespace):
            torch.ops.load_library(str(library))

    once(f"library {namespace}", make)


def is_loaded(namespace: str) -> bool:
    """Whether this process knows the operators of a library."""
    return bool(torch._C._jit_get_schemas_for_operator(f"{namespace}::release_memory"))


def _operators_by_kernel(shapes: Mapping[str, Shape]) -> dict[str, tuple[Operator, ...]]:
    """Operators of a library made of these shapes, by the names of kernels."""
    of_shapes = {name: operators_of(shape) for name, shape in shapes.items()}
    return {name: (operator,) for name, operator in COMMON.items()} | of_shapes


def _described(namespace: str, every: Mapping[str, Sequence[Operator]]) -> dict[str, Call]:
    """All operators of a library that is loaded, by their names."""
    for name, operators in every.items():
        describe(namespace, name, operators)
    return _found(namespace, every)


def _found(namespace: str, every: Mapping[str, Sequence[Operator]]) -> dict[str, Call]:
    """All operators by their names."""
    return {
        name + operator.suffix: find(namespace, name + operator.suffix)
        for name, operators in every.items()
        for operator in operators
    }


def release_memory_with(owner: Any, namespace: str) -> None:
    """Return a library's kept memory to the system when the last of its owners is gone."""
    owners: weakref.WeakSet[Any] = once(f"owners of {namespace}", weakref.WeakSet)
    owners.add(owner)

    def release() -> None:
        if not list(owners):
            find(namespace, "release_memory")()

    weakref.finalize(owner, release)
