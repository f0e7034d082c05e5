"""Angular part: real spherical harmonics of the edge directions."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhff.model.exact import ExactConstants


class SphericalHarmonics(ExactConstants):
    """Real harmonics Y_lm of unit vectors, l = 0..l_max.

    Component normalisation: the sum over m of Y_lm^2 is 2l + 1. Built by the recursion
    Y_l ~ Y_(l-1) x Y_1 in e3nn's convention (polar axis y).
    """

    def __init__(self, recursion: Sequence[torch.Tensor]) -> None:
        """`recursion`: `mhff.model.coupling.harmonic_recursion(l)` for l = 2..l_max."""
        super().__init__()
        self.l_max = 1 + len(recursion)
        for degree, matrix in enumerate(recursion, start=2):
            self.add_constant(f"recursion_{degree}", matrix)

    def forward(self, directions: torch.Tensor) -> torch.Tensor:
        """Harmonics `[E, (l_max + 1)^2]` of unit vectors `[E, 3]`."""
        degrees = [torch.ones_like(directions[:, :1]), directions]
        for degree in range(2, self.l_max + 1):
            outer = (degrees[-1].unsqueeze(2) * directions.unsqueeze(1)).flatten(1)
            degrees.append(outer @ self.get_buffer(f"recursion_{degree}"))
        return torch.cat([(2 * degree + 1) ** 0.5 * y for degree, y in enumerate(degrees)], dim=1)
