"""Changed copies of a file's modules; the records themselves never change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from mhff.interop.mace.refusals import UnknownModelError, expect
from mhff.interop.torchfile.modules import ModuleRecord

Change = Callable[[ModuleRecord], ModuleRecord]


@dataclass(frozen=True)
class Rewritten:
    """A model in a form that is simpler to read, with a sentence for each change."""

    root: ModuleRecord
    notes: tuple[str, ...] = ()


def part(module: ModuleRecord, name: str) -> ModuleRecord:
    """A module right below another one; raises UnknownModelError if it is missing."""
    if name not in module.children:
        raise UnknownModelError(f"it has no module {f'{module.path}.{name}'.lstrip('.')}")
    return module.children[name]


def changed_at(module: ModuleRecord, path: str, change: Change) -> ModuleRecord:
    """The module with the one at a dotted path below it changed."""
    if not path:
        return change(module)
    name, _, rest = path.partition(".")
    child = changed_at(part(module, name), rest, change)
    return replace(module, children={**module.children, name: child})


def changed_everywhere(module: ModuleRecord, change: Change) -> ModuleRecord:
    """The module with `change` applied to it and all below, the lowest first."""
    children = {name: changed_everywhere(below, change) for name, below in module.children.items()}
    return change(replace(module, children=children))


def moved(module: ModuleRecord, path: str) -> ModuleRecord:
    """The module at another path."""
    prefix = f"{path}." if path else ""
    children = {name: moved(below, prefix + name) for name, below in module.children.items()}
    return replace(module, path=path, children=children)


def with_attributes(module: ModuleRecord, **attributes: Any) -> ModuleRecord:
    """The module with other attributes."""
    return replace(module, attributes={**module.attributes, **attributes})


def with_tensor(module: ModuleRecord, name: str, value: torch.Tensor) -> ModuleRecord:
    """The module with another value of one of its tensors."""
    own_tensor(module, name)
    if name in module.parameters:
        return replace(module, parameters=_updated(module.parameters, name, value))
    return replace(module, buffers=_updated(module.buffers, name, value))


def own_tensor(module: ModuleRecord, name: str, *shape: int) -> torch.Tensor:
    """A floating-point tensor of a module; refused unless of `shape`, if given."""
    tensors = module.tensors
    full = f"{module.path}.{name}"
    expect(name in tensors, f"it has no tensor {full}")
    value = tensors[name]
    expect(value.is_floating_point(), f"{full} has numbers of {value.dtype}")
    expect(
        not shape or tuple(value.shape) == shape,
        f"expected the shape {list(shape)} for {full}, got {list(value.shape)}",
    )
    return value


def _updated(
    tensors: Mapping[str, torch.Tensor], name: str, value: torch.Tensor
) -> dict[str, torch.Tensor]:
    return {**tensors, name: value}
