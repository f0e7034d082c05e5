"""A contraction of training in a kernel: differentiable twice in features and coefficients."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mhff.ops.cpu.precision import check_precision
from mhff.ops.registration import Call


class KernelContraction:
    """`mhff.ops.contraction.contract_sets` for one shape in one precision, both compiled in."""

    def __init__(self, operators: Mapping[str, Call], name: str, dtype: torch.dtype) -> None:
        """`operators`: of a library in precision `dtype` with a trained contraction `name`."""
        self.dtype = dtype
        self._contraction = operators[name]
        self._sort = operators["sort_edges"]

    def __call__(
        self,
        features: torch.Tensor,
        coefficients: torch.Tensor,
        species: torch.Tensor,
        monomials: torch.Tensor,
        row_sum: torch.Tensor,
    ) -> torch.Tensor:
        """See `mhff.ops.contraction.contract_sets`; raises MHFFError in another precision."""
        check_precision(self.dtype, features.dtype)
        n_sets = coefficients.shape[0]
        of_atom = species if n_sets > 1 else torch.zeros_like(species)
        order, begin = self._sort(of_atom.contiguous(), n_sets)
        return self._contraction(features.contiguous(), coefficients.contiguous(), order, begin)
