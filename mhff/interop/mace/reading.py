"""What the importer asks of a file: tensors and settings by name, each of them once accounted for.

A part of a file that nobody asked for is a part this importer does not know; then the model would
not be exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mhff.errors import listing
from mhff.interop.torchfile.modules import ModuleRecord, irreps
from mhff.interop.torchfile.refusals import RefusedError

Irreps = tuple[tuple[int, int, int], ...]
"""(multiplicity, degree, parity) of each entry."""

CARRY_NOTHING = (".output_mask", "_zeroed")
"""Ends of the names of tensors without information."""


class UnknownModelError(RefusedError):
    """A whole file whose model is not one that mhff can be exact for; the text is a clause that
    says why.
    """

    def sentence(self, name: str) -> str:
        """The reason in one sentence that begins with the file's name."""
        return (
            f"'{name}' cannot be imported exactly: {self}; nothing was written, run this model "
            "with mace-torch"
        )


class Reading:
    """The root of a file's model, with a memory of which tensors were used."""

    def __init__(self, root: ModuleRecord) -> None:
        self.root = root
        self.tensors = root.state_dict()
        self.used: set[str] = set()

    def tensor(self, name: str, *shape: int) -> torch.Tensor:
        """The tensor of a dotted name, as it is in the file; of `shape`, where one is given."""
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
        """The one number in a tensor."""
        value = self.tensor(name)
        expect(value.numel() == 1, f"expected one number for {name}, got {value.numel()}")
        return float(value)

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
        """A plain attribute of a module; `path` is empty for the root."""
        module = self.module(path) if path else self.root
        expect(name in module.attributes, f"{path or 'the model'} has no {name}")
        return module.attributes[name]

    def typed(self, path: str, name: str, kind: Callable[[Any], Any]) -> Any:
        """An attribute as `kind` makes it of the value in the file (a number of numpy, perhaps)."""
        value = self.attribute(path, name)
        try:
            return kind(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise UnknownModelError(f"{path}.{name} has the value {str(value)[:40]}") from error

    def irreps(self, path: str, name: str) -> Irreps:
        """An attribute that lists irreps."""
        return self.typed(path, name, irreps)

    def unused(self) -> list[str]:
        """Names of tensors that hold something and that nobody asked for."""
        return sorted(
            name
            for name, value in self.tensors.items()
            if name not in self.used and value.numel() and not name.endswith(CARRY_NOTHING)
        )


def natural(channels: int, lmax: int) -> Irreps:
    """`channels` of each degree up to `lmax`, with parity (-1)^l."""
    return tuple((channels, degree, (-1) ** degree) for degree in range(lmax + 1))


def words(value: Irreps) -> str:
    """Irreps as e3nn writes them."""
    return "+".join(
        f"{count}x{degree}{'e' if parity == 1 else 'o'}" for count, degree, parity in value
    )


def expect(condition: bool, clause: str) -> None:
    """Raise UnknownModelError with the clause unless the condition holds."""
    if not condition:
        raise UnknownModelError(clause)


def some(names: list[str], most: int = 5) -> str:
    """The first few of many names."""
    return listing(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
