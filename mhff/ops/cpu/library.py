"""Loads a library of kernels into torch, and hands out its operators."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mhff.ops.operators import COMMON, operators_of
from mhff.ops.registration import Call, describe, find, once
from mhff.ops.shapes import Shape


def load(library: Path, namespace: str, shapes: Mapping[str, Shape]) -> dict[str, Call]:
    """Operators of a library that `build` made of these shapes, by `<shape's name><suffix>`."""
    load_library(library, namespace)
    of_shapes = {name: operators_of(shape) for name, shape in shapes.items()}
    every = {name: (operator,) for name, operator in COMMON.items()} | of_shapes
    for name, operators in every.items():
        describe(namespace, name, operators)
    return {
        name + operator.suffix: find(namespace, name + operator.suffix)
        for name, operators in every.items()
        for operator in operators
    }


def load_library(library: Path, namespace: str) -> None:
    """Load a library, unless this process has; compiled programs need no more.

    An engine may have loaded another copy, as metatomic does; a second would end the process.
    """

    def make() -> None:
        if not torch._C._jit_get_schemas_for_operator(f"{namespace}::release_memory"):
            torch.ops.load_library(str(library))

    once(f"library {namespace}", make)


def release_memory_with(owner: Any, namespace: str) -> None:
    """Return a library's kept memory to the system when the last of its owners is gone."""
    owners: weakref.WeakSet[Any] = once(f"owners of {namespace}", weakref.WeakSet)
    owners.add(owner)

    def release() -> None:
        if not list(owners):
            find(namespace, "release_memory")()

    weakref.finalize(owner, release)
