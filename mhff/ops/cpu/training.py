"""A convolution that runs in a kernel and can be differentiated twice, in place of
`mhff.ops.convolution.convolution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mhff.ops.flat import split_degrees


class KernelConvolution:
    """`mhff.ops.convolution.convolution` for one shape; the coupling is the one that was compiled
    in.
    """

    def __init__(self, operators: Any, name: str) -> None:
        """`operators`: of a library with a `parts.Convolution` called `name` whose weights are
        given per edge.
        """
        self.operator, self.sort = getattr(operators, name), operators.sort_edges

    def __call__(
        self,
        features: torch.Tensor,
        harmonics: torch.Tensor,
        weights: torch.Tensor,
        coupling: torch.Tensor,
        paths_to: Sequence[int],
        edge_index: torch.Tensor,
        n_local: int,
    ) -> torch.Tensor:
        """See `mhff.ops.convolution.convolution`."""
        edge_index = edge_index.contiguous()
        order, begin = self.sort(edge_index[1], n_local)
        of_edges = (harmonics.contiguous(), edge_index, order, begin, weights.contiguous())
        flat = self.operator(features.contiguous(), *of_edges)
        blocks = split_degrees(flat, n_local, [paths * features.shape[2] for paths in paths_to])
        return torch.cat(
            [block.unflatten(2, (-1, features.shape[2])).flatten(1, 2) for block in blocks], dim=1
        )
