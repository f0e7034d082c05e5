"""Values of splines in training from kernels: differentiable in distances and coefficients."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mhff.ops.registration import Call
from mhff.ops.spline import Spline


class KernelLookUp:
    """Splines with the same knots, one table of coefficients after the other.

    values[e, c] = sum_t taps[e, t] table[first[e] + t, c], where `first` is the first of six rows.
    """

    def __init__(self, operators: Mapping[str, Call], name: str, spline: Spline) -> None:
        """`operators`: of a library with a `LookUpShape` of this name."""
        self.spline = spline
        self._values = operators[name]
        self._locate = operators[f"{name}_locate"]
        self._taps = operators[f"{name}_taps_of"]
        self._sort = operators["sort_edges"]

    def taps(self, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Interval `[E]` of distances `[E]`, int32, and weights `[E, 6]` of its rows."""
        knots = (self.spline.r_min, self.spline.per_length)
        intervals = self._locate(r.detach(), *knots, self.spline.n_intervals)
        return intervals, self._taps(r, intervals, *knots, 0)

    def order(self, first: torch.Tensor, n_rows: int) -> torch.Tensor:
        """Order of edges by their first row, int32: neighbours in it read the same rows."""
        found: torch.Tensor = self._sort(first.to(torch.int64), n_rows)[0]
        return found

    def __call__(
        self, first: torch.Tensor, order: torch.Tensor, taps: torch.Tensor, table: torch.Tensor
    ) -> torch.Tensor:
        """Values `[E, width]` for a table `[rows, width]`."""
        found: torch.Tensor = self._values(first, order, taps, table.contiguous())
        return found
