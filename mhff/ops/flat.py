"""Flat tensors ordered by degree, as kernels give them: each degree's linear map is one product of
matrices on a view.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def split_degrees(flat: torch.Tensor, n: int, widths: Sequence[int]) -> list[torch.Tensor]:
    """Views `[n, 2l + 1, widths[l]]` of a flat tensor, block after block, for each l."""
    # one split, because its gradient is one concatenation; that of several slices would fill and
    # add the whole several times
    blocks = flat.split([n * (2 * degree + 1) * width for degree, width in enumerate(widths)])
    return [block.view(n, 2 * degree + 1, widths[degree]) for degree, block in enumerate(blocks)]


def join_degrees(degrees: Sequence[torch.Tensor]) -> torch.Tensor:
    """Flat tensor of features `[n, 2l + 1, width]` for each l."""
    return torch.cat([x.flatten() for x in degrees])
