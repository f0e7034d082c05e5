"""Radial part: distance transform, Bessel basis, cutoff envelope, ZBL repulsion. Distances in A."""

from __future__ import annotations

import math

import torch

from mhff.model.config import ModelConfig
from mhff.model.exact import ExactConstants

# Agnesi transform with the parameters of W. C. Witt et al., J. Chem. Phys. 159, 164101 (2023)
AGNESI_A, AGNESI_Q, AGNESI_P = 1.0805, 0.9183, 4.5791
# J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter (1985)
ZBL_COEFFICIENTS = (0.1818, 0.5099, 0.2802, 0.02817)
ZBL_EXPONENTS = (3.2, 0.9423, 0.4028, 0.2016)
ZBL_LENGTH, ZBL_POWER = 0.4543 * 0.529, 0.300
COULOMB = 14.3996
"""e^2 / (4 pi eps0) in eV A, with the digits that published models were trained with."""


def polynomial_envelope(x: torch.Tensor, power: int) -> torch.Tensor:
    """Envelope of x = r / r_cut: 1 at 0; value, slope and curvature are 0 at 1; exactly 0 beyond.

    1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2): J. Gasteiger et al., arXiv:2003.03123, equation 8.
    """
    p = power
    value = 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
    return value * (x < 1)


class RadialBasis(ExactConstants):
    """Bessel functions of the (possibly transformed) distance, and the cutoff envelope of the plain distance.

    sqrt(2 / r_max) sin(n pi d / r_max) / d, n = 1..n_radial: J. Gasteiger et al., arXiv:2003.03123, equation 7.
    """

    covalent_radii: torch.Tensor
    frequencies: torch.Tensor

    def __init__(self, config: ModelConfig, covalent_radii: torch.Tensor) -> None:
        super().__init__()
        self.r_max, self.cutoff_power = config.r_max, config.cutoff_power
        self.agnesi, self.apply_cutoff = config.distance_transform == "agnesi", config.apply_cutoff
        self.add_constant("covalent_radii", covalent_radii)
        orders = torch.arange(1, config.n_radial + 1, dtype=torch.float64, device="cpu")
        self.add_constant("frequencies", orders * math.pi / config.r_max)

    def forward(self, r: torch.Tensor, sender: torch.Tensor, receiver: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Basis `[E, n_radial]` and envelope `[E, 1]` from distances `[E]` and the species of both ends `[E]`."""
        r = r.unsqueeze(-1)
        envelope = polynomial_envelope(r / self.r_max, self.cutoff_power)
        d = self._agnesi_transform(r, sender, receiver) if self.agnesi else r
        basis = (2 / self.r_max) ** 0.5 * torch.sin(self.frequencies * d) / d
        return (basis * envelope if self.apply_cutoff else basis), envelope

    def _agnesi_transform(self, r: torch.Tensor, sender: torch.Tensor, receiver: torch.Tensor) -> torch.Tensor:
        radii = self.covalent_radii
        x = r / (0.5 * (radii.index_select(0, sender) + radii.index_select(0, receiver))).unsqueeze(-1)
        return 1 / (1 + AGNESI_A * x**AGNESI_Q / (1 + x ** (AGNESI_Q - AGNESI_P)))


class ZBLRepulsion(ExactConstants):
    """Screened nuclear repulsion, eV, half of each pair's energy on each of its two edges.

    It ends smoothly at the sum of the covalent radii. Like everything else it ignores edges that are not shorter than
    r_max, which engines' neighbour lists with a skin contain.
    """

    covalent_radii: torch.Tensor
    charges: torch.Tensor

    def __init__(self, config: ModelConfig, covalent_radii: torch.Tensor) -> None:
        super().__init__()
        self.r_max, self.cutoff_power = config.r_max, config.cutoff_power
        self.add_constant("covalent_radii", covalent_radii)
        self.add_constant("charges", torch.tensor(config.atomic_numbers, dtype=torch.float64, device="cpu"))

    def forward(self, r: torch.Tensor, sender: torch.Tensor, receiver: torch.Tensor) -> torch.Tensor:
        """Energy per edge `[E]` from distances `[E]` and the species of both ends `[E]`."""
        z_sender, z_receiver = self.charges.index_select(0, sender), self.charges.index_select(0, receiver)
        r_cut = self.covalent_radii.index_select(0, sender) + self.covalent_radii.index_select(0, receiver)
        x = r * (z_sender**ZBL_POWER + z_receiver**ZBL_POWER) / ZBL_LENGTH
        screening = torch.zeros_like(x)
        for coefficient, exponent in zip(ZBL_COEFFICIENTS, ZBL_EXPONENTS, strict=True):
            screening = screening + coefficient * torch.exp(-exponent * x)
        coulomb = 0.5 * COULOMB * z_sender * z_receiver / r * (r < self.r_max)
        return coulomb * screening * polynomial_envelope(r / r_cut, self.cutoff_power)
