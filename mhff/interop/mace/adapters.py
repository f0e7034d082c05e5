"""Low-rank adapters of mace-torch (LoRA), merged into the weights that they change.

An adapter wraps a linear map, its part `base`, whose weights become W + s A B; the file holds the
scale s = alpha / rank. mace-torch caches merged weights for
evaluations without gradients, which give no forces; the cache may be stale and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import sqrt

import torch

from mhff.interop.mace import settings
from mhff.interop.mace.irreps import irreps
from mhff.interop.mace.linear_maps import weight_blocks
from mhff.interop.mace.refusals import UnknownModelError, expect, some
from mhff.interop.mace.rewriting import (
    Rewritten,
    changed_everywhere,
    moved,
    own_tensor,
    part,
    with_tensor,
)
from mhff.interop.torchfile.modules import ModuleRecord

_KNOWN_SETTINGS = re.compile(
    r"training|irreps_in|irreps_out|lora_irreps|in_features|out_features|scaling"
    r"|_cached_merged_weight|_cached_delta|_A_by_i_in|_B_by_in_out"
)
_MODULE = "mace.modules.lora."


def with_merged_adapters(root: ModuleRecord) -> Rewritten:
    """The model with every adapter's change in the weights of its map, in the file's precision.

    Raises UnknownModelError for adapters whose parts do not fit together.
    """
    ranks: list[int] = []

    def merged(module: ModuleRecord) -> ModuleRecord:
        if not module.class_path.startswith(_MODULE):
            return module
        if module.class_name not in _DELTAS:
            raise UnknownModelError(
                f"{module.path} is a {module.class_name}, but mhff knows the adapters "
                f"{', '.join(_DELTAS)}"
            )
        rank, base = _merged(module)
        ranks.append(rank)
        return base

    root = changed_everywhere(root, merged)
    if not ranks:
        return Rewritten(root)
    found = ", ".join(map(str, sorted(set(ranks))))
    return Rewritten(
        root, (f"LoRA merged: adapters of rank {found} on {len(ranks)} maps added to the weights",)
    )


def _merged(module: ModuleRecord) -> tuple[int, ModuleRecord]:
    """Rank of an adapter, and the map below it with its change, at the adapter's path."""
    unknown = [name for name in module.attributes if not _KNOWN_SETTINGS.fullmatch(name)]
    expect(not unknown, f"{module.path} has settings that mhff does not know: {some(unknown)}")
    base = part(module, "base")
    weight = own_tensor(base, "weight")
    scale = settings.real(module.attributes.get("scaling"), f"{module.path}.scaling")
    rank, delta = _DELTAS[module.class_name](module, base)
    changed = weight.to(torch.float64) + scale * delta.reshape(weight.shape)
    return rank, moved(with_tensor(base, "weight", changed.to(weight.dtype)), module.path)


def _only(module: ModuleRecord, tensors: set[str], parts: set[str]) -> None:
    """Refuse an adapter with other tensors or parts than these; those without numbers may be."""
    others = {name for name, value in module.tensors.items() if value.numel()} - tensors
    others -= {"output_mask"}
    others |= set(module.children) - parts
    expect(not others, f"{module.path} has parts that mhff does not know: {some(sorted(others))}")


def _double(module: ModuleRecord, name: str, *shape: int) -> torch.Tensor:
    return own_tensor(module, name, *shape).to(torch.float64)


def _layer_delta(module: ModuleRecord, base: ModuleRecord) -> tuple[int, torch.Tensor]:
    """A layer of e3nn's radial network, whose weights are `[fan_in, fan_out]`."""
    _only(module, {"lora_A", "lora_B"}, {"base"})
    weight = own_tensor(base, "weight")
    expect(weight.dim() == 2, f"{base.path}.weight has {weight.dim()} axes, but needs 2")
    rank = own_tensor(module, "lora_A").shape[-1] if own_tensor(module, "lora_A").dim() else 0
    first = _double(module, "lora_A", weight.shape[0], rank)
    second = _double(module, "lora_B", rank, weight.shape[1])
    return rank, first @ second


def _dense_delta(module: ModuleRecord, base: ModuleRecord) -> tuple[int, torch.Tensor]:
    """A linear map of torch, whose weights are `[fan_out, fan_in]`."""
    _only(module, set(), {"base", "lora_A", "lora_B"})
    weight = own_tensor(base, "weight")
    expect(weight.dim() == 2, f"{base.path}.weight has {weight.dim()} axes, but needs 2")
    up = part(module, "lora_A")
    down = part(module, "lora_B")
    for factor in (up, down):
        _only(factor, {"weight"}, set())
    rank = own_tensor(up, "weight").shape[0] if own_tensor(up, "weight").dim() else 0
    first = _double(up, "weight", rank, weight.shape[1])
    second = _double(down, "weight", weight.shape[0], rank)
    return rank, second @ first


def _equivariant_delta(module: ModuleRecord, base: ModuleRecord) -> tuple[int, torch.Tensor]:
    """An equivariant map of e3nn: its adapter's two maps meet in `rank` copies of each irrep.

    e3nn divides by the square root of the fan-in. The first map has that of the base, so what is
    left to put into the weights is the second's, the rank.
    """
    _only(module, set(), {"base", "lora_A", "lora_B"})
    up = part(module, "lora_A")
    down = part(module, "lora_B")
    inputs = irreps(base.attributes.get("irreps_in"))
    outputs = irreps(base.attributes.get("irreps_out"))
    middle = irreps(up.attributes.get("irreps_out"))
    kinds = [tuple(kind) for _, *kind in middle]
    ranks = {count for count, *_ in middle}
    expect(
        len(ranks) == 1 and len(set(kinds)) == len(kinds) and min(ranks) > 0,
        f"{up.path} does not give the same number of each irrep",
    )
    for factor, name, expected in (
        (up, "irreps_in", inputs),
        (down, "irreps_in", middle),
        (down, "irreps_out", outputs),
    ):
        found = irreps(factor.attributes.get(name))
        expect(found == expected, f"{factor.path}.{name} does not fit {base.path}")
        _only(factor, {"weight"}, set())
    rank = ranks.pop()
    first = weight_blocks(_double(up, "weight"), inputs, middle, up.path)
    second = weight_blocks(_double(down, "weight"), middle, outputs, down.path)
    deltas = []
    weights = weight_blocks(_double(base, "weight"), inputs, outputs, base.path)
    for (a, b), weight in weights.items():
        kind = tuple(inputs[a][1:])
        delta = torch.zeros_like(weight)
        if kind in kinds:
            k = kinds.index(kind)
            delta = torch.einsum("asr,rsb->asb", first[a, k], second[k, b]) / sqrt(rank)
        deltas.append(delta.reshape(-1))
    return rank, torch.cat(deltas) if deltas else torch.zeros(0, dtype=torch.float64)


_DELTAS: dict[str, Callable[[ModuleRecord, ModuleRecord], tuple[int, torch.Tensor]]] = {
    "LoRAO3Linear": _equivariant_delta,
    "LoRADenseLinear": _dense_delta,
    "LoRAFCLayer": _layer_delta,
}
