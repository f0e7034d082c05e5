"""Flat features: one tensor for all degrees, block `[n, 2l + 1, width]` after block.

Kernels return them, so that the linear map of each degree is one matrix product on a view.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def split_flat(flat: torch.Tensor, n: int, widths: Sequence[int]) -> list[torch.Tensor]:
    """Views `[n, 2l + 1, widths[l]]` of a flat tensor, one for each l."""
    # one split, because its gradient is one concatenation; the gradients of separate slices would
    # each fill the whole tensor
    blocks = flat.split([n * (2 * l + 1) * width for l, width in enumerate(widths)])
    return [block.view(n, 2 * l + 1, widths[l]) for l, block in enumerate(blocks)]


def join_flat(degrees: Sequence[torch.Tensor]) -> torch.Tensor:
    """Flat tensor of features `[n, 2l + 1, width]` for each l."""
    return torch.cat([x.flatten() for x in degrees])
