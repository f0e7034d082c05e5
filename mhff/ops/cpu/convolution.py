"""A convolution of training in a kernel: differentiable twice, with weights of each edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from mhff.ops.cpu.precision import check_precision
from mhff.ops.flat import split_flat
from mhff.ops.registration import Call


class KernelConvolution:
    """`mhff.ops.convolution.convolution` for one shape in one precision, both compiled in."""

    def __init__(self, operators: Mapping[str, Call], name: str, dtype: torch.dtype) -> None:
        """`operators`: of a library in precision `dtype` with a per-edge convolution `name`."""
        self.dtype = dtype
        self._convolution = operators[name]
        self._sort = operators["sort_edges"]

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
        """See `mhff.ops.convolution.convolution`; raises MHFFError in another precision."""
        check_precision(self.dtype, features.dtype)
        edge_index = edge_index.contiguous()
        order, begin = self._sort(edge_index[1], n_local)
        edges = (harmonics.contiguous(), edge_index, order, begin, weights.contiguous())
        flat = self._convolution(features.contiguous(), *edges)
        n_channels = features.shape[2]
        blocks = split_flat(flat, n_local, [paths * n_channels for paths in paths_to])
        return torch.cat(
            [block.unflatten(2, (-1, n_channels)).flatten(1, 2) for block in blocks], dim=1
        )
