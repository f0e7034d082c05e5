"""The flat weights of an equivariant linear map as blocks, in e3nn's order."""

from __future__ import annotations

import torch

from mhff.interop.mace.irreps import Irreps
from mhff.interop.mace.refusals import expect

Blocks = dict[tuple[int, int], torch.Tensor]
"""Weights `[fan_in, n_sets, fan_out]` by the positions of their input and output irreps."""


def weight_blocks(
    flat: torch.Tensor, inputs: Irreps, outputs: Irreps, path: str, n_sets: int = 1
) -> Blocks:
    """Blocks of the weights of the map `path`, `n_sets` of them where it depends on the element.

    e3nn orders them by input, then by output, for every pair of entries of one irrep. Raises
    UnknownModelError unless there are as many weights as the irreps need.
    """
    flat = flat.reshape(-1)
    blocks: Blocks = {}
    position = 0
    for a, (fan_in, *kind) in enumerate(inputs):
        for b, (fan_out, *other) in enumerate(outputs):
            if other != kind:
                continue
            end = position + fan_in * n_sets * fan_out
            expect(end <= flat.numel(), f"{path}.weight has {flat.numel()} numbers, but needs more")
            blocks[a, b] = flat[position:end].reshape(fan_in, n_sets, fan_out)
            position = end
    expect(
        position == flat.numel(),
        f"{path}.weight has {flat.numel()} numbers, but needs {position}",
    )
    return blocks
