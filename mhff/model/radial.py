"""Radial part: distance transform, radial basis, cutoff envelope, ZBL repulsion. Distances in A."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mhff.model.config import ModelConfig
from mhff.model.exact import ExactConstants

SOFT_INNER, SOFT_OUTER = 3 / 4, 4 / 3
"""Limits of the Soft transform, in units of the sum of the covalent radii."""
ZBL_EXPONENTS = (3.2, 0.9423, 0.4028, 0.2016)
"""Exponents of the screening function.

J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter (1985).
"""
COULOMB = 14.3996
"""e^2 / (4 pi eps0) in eV A, with the digits that published models were trained with."""


def polynomial_envelope(x: torch.Tensor, power: int) -> torch.Tensor:
    """Envelope of x = r / r_cut: 1 at 0; value, slope and curvature are 0 at 1; exactly 0 beyond.

    1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2): J. Gasteiger et al., arXiv:2003.03123,
    equation 8.
    """
    p = power
    value = (
        1
        - (p + 1) * (p + 2) / 2 * x**p
        + p * (p + 2) * x ** (p + 1)
        - p * (p + 1) / 2 * x ** (p + 2)
    )
    return value * (x < 1)


class RadialBasis(ExactConstants):
    """Radial functions of the transformed distance, and the cutoff envelope of the distance.

    Bessel functions: J. Gasteiger et al., arXiv:2003.03123, equation 7.
    """

    covalent_radii: torch.Tensor
    functions: torch.Tensor

    def __init__(self, config: ModelConfig, constants: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.r_max = config.r_max
        self.cutoff_power = config.cutoff_power
        self.apply_cutoff = config.apply_cutoff
        self.factor = float(constants["radial.factor"])
        self.parameters_of_transform = constants["radial.transform"].tolist()
        self.transform = {"agnesi": self._agnesi, "soft": self._soft, "none": _unchanged}[
            config.distance_transform
        ]
        self.basis = {
            "bessel": self._bessel,
            "gaussian": self._gaussian,
            "chebyshev": self._chebyshev,
        }[config.radial_basis]
        self.add_constant("covalent_radii", constants["covalent_radii"])
        self.add_constant("functions", constants["radial.functions"])

    def forward(
        self, r: torch.Tensor, sender: torch.Tensor, receiver: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Basis `[E, n_radial]` and envelope `[E, 1]`.

        `r [E]`: distances, A; `sender`, `receiver` `[E]`: their species.
        """
        r = r.unsqueeze(-1)
        envelope = polynomial_envelope(r / self.r_max, self.cutoff_power)
        radii = self.covalent_radii.index_select(0, sender) + self.covalent_radii.index_select(
            0, receiver
        )
        basis = self.basis(self.transform(r, radii.unsqueeze(-1)))
        return (basis * envelope if self.apply_cutoff else basis), envelope

    def _agnesi(self, r: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
        """1 / (1 + a x^q / (1 + x^(q - p))), from 1 to 0; x = r / (mean of the radii)."""
        a, q, p = self.parameters_of_transform
        x = r / (0.5 * radii)
        return 1 / (1 + a * x**q / (1 + x ** (q - p)))

    def _soft(self, r: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
        """A smooth step from 3/4 of the sum of the radii, at short distance, to r."""
        (alpha,) = self.parameters_of_transform
        inner, outer = SOFT_INNER * radii, SOFT_OUTER * radii
        return inner + 0.5 * (r - inner) * (
            1 + torch.tanh(alpha / (outer - inner) * (r - 0.5 * (inner + outer)))
        )

    def _bessel(self, d: torch.Tensor) -> torch.Tensor:
        """sqrt(2 / r_max) sin(n pi d / r_max) / d, n = 1..n_radial."""
        return self.factor * torch.sin(self.functions * d) / d

    def _gaussian(self, d: torch.Tensor) -> torch.Tensor:
        """Gaussians as wide as the distance of their centres, which reach from 0 to r_max."""
        return torch.exp(self.factor * (d - self.functions) ** 2)

    def _chebyshev(self, d: torch.Tensor) -> torch.Tensor:
        """T_n(d) of the first kind, n = 1..n_radial: T_(n+1) = 2 d T_n - T_(n-1), d not scaled."""
        before = torch.ones_like(d)
        polynomials = [d]
        for _ in range(1, self.functions.shape[0]):
            before, latest = polynomials[-1], 2 * d * polynomials[-1] - before
            polynomials.append(latest)
        return torch.cat(polynomials, dim=-1)


def _unchanged(r: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
    return r


class ZBLRepulsion(ExactConstants):
    """Screened nuclear repulsion, eV, half of each pair's energy on each of its two edges.

    It ends smoothly at the sum of the covalent radii. Like all other terms it is zero for edges of
    r_max or longer, which engines' neighbour lists with a skin contain.
    """

    covalent_radii: torch.Tensor
    charges: torch.Tensor

    def __init__(self, config: ModelConfig, constants: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.r_max = config.r_max
        self.cutoff_power = config.cutoff_power
        self.coefficients = constants["zbl.coefficients"].tolist()
        self.length = float(constants["zbl.length"])
        self.power = float(constants["zbl.power"])
        self.add_constant("covalent_radii", constants["covalent_radii"])
        self.add_constant(
            "charges", torch.tensor(config.atomic_numbers, dtype=torch.float64, device="cpu")
        )

    def forward(
        self, r: torch.Tensor, sender: torch.Tensor, receiver: torch.Tensor
    ) -> torch.Tensor:
        """Energy per edge `[E]` from distances `[E]` and the species of both ends `[E]`."""
        z_sender = self.charges.index_select(0, sender)
        z_receiver = self.charges.index_select(0, receiver)
        per_length = self.charges**self.power / self.length
        r_cut = self.covalent_radii.index_select(0, sender) + self.covalent_radii.index_select(
            0, receiver
        )
        x = r * (per_length.index_select(0, sender) + per_length.index_select(0, receiver))
        screening = torch.zeros_like(x)
        for coefficient, exponent in zip(self.coefficients, ZBL_EXPONENTS, strict=True):
            screening = screening + coefficient * torch.exp(-exponent * x)
        coulomb = 0.5 * COULOMB * z_sender * z_receiver / r * (r < self.r_max)
        return coulomb * screening * polynomial_envelope(r / r_cut, self.cutoff_power)
