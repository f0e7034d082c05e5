"""The tensors and settings of a file by name, each accounted for.

A tensor that is never asked for belongs to a part that mhff does not know, so the model would not
be exact.
"""

from __future__ import annotations

from typing import Any

import torch

from mhff.interop.mace import settings
from mhff.interop.mace.irreps import Irreps, irreps
from mhff.interop.mace.refusals import UnknownModelError, expect
from mhff.interop.torchfile.modules import ModuleRecord

WITHOUT_INFORMATION = (".output_mask", "_zeroed")
"""Endings of the names of tensors that may remain unused."""


class Reading:
    """The root of a file's model, with a record of the tensors that were used."""

    def __init__(self, root: ModuleRecord) -> None:
        self.root = root
        self.tensors = root.state_dict()
        self.used: set[str] = set()

    def tensor(self, name: str, *shape: int) -> torch.Tensor:
        """The tensor with a dotted name, as stored; refused unless of `shape`, if given."""
        expect(name in self.tensors, f"it has no tensor {name}")
        self.used.add(name)
        value = self.tensors[name]
        expect(
            not shape or tuple(value.shape) == shape,
            f"expected the shape {list(shape)} for {name}, got {list(value.shape)}",
        )
        expect(
            not value.is_floating_point() or bool(torch.isfinite(value).all()),
            f"{name} has numbers that are not finite",
        )
        return value

    def number(self, name: str) -> float:
        """The only number in a tensor."""
        return settings.real(self.tensor(name), name)

    def count(self, name: str) -> int:
        """The only number in a tensor, an integer from 1."""
        return settings.count(self.tensor(name), name)

    def module(self, path: str) -> ModuleRecord:
        """The module of a dotted name."""
        module = self.find(path)
        if module is None:
            raise UnknownModelError(f"it has no module {path}")
        return module

    def find(self, path: str) -> ModuleRecord | None:
        """The module of a dotted name, or None."""
        module = self.root
        for part in path.split("."):
            if part not in module.children:
                return None
            module = module.children[part]
        return module

    def attribute(self, path: str, name: str) -> Any:
        """A plain attribute of a module, of any type."""
        module = self.module(path)
        expect(name in module.attributes, f"{path} has no {name}")
        return module.attributes[name]

    def real(self, path: str, name: str) -> float:
        """An attribute that is a finite number."""
        return settings.real(self.attribute(path, name), f"{path}.{name}")

    def positive(self, path: str, name: str) -> int:
        """An attribute that is an integer from 1."""
        return settings.count(self.attribute(path, name), f"{path}.{name}")

    def positives(self, path: str, name: str) -> tuple[int, ...]:
        """An attribute that is a list of integers from 1."""
        return settings.counts(self.attribute(path, name), f"{path}.{name}")

    def flag(self, path: str, name: str, default: bool) -> bool:
        """An attribute that is true or false; `default` if it is missing."""
        module = self.module(path)
        return settings.flag(module.attributes.get(name, default), f"{path}.{name}")

    def irreps(self, path: str, name: str) -> Irreps:
        """An attribute that lists irreps, one at least."""
        value = irreps(self.attribute(path, name))
        expect(len(value) > 0, f"{path}.{name} is empty")
        return value

    def unused(self) -> list[str]:
        """Names of tensors that hold information and were not asked for."""
        return sorted(
            name
            for name, value in self.tensors.items()
            if name not in self.used and value.numel() and not name.endswith(WITHOUT_INFORMATION)
        )
