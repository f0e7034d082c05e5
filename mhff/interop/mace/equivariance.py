"""Whether polynomials turn with their arguments, tried with numbers: what a file claims as its
basis is checked.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from mhff.interop.mace.reading import expect
from mhff.model.angular import SphericalHarmonics
from mhff.model.coupling import harmonic_recursion

TOLERANCE = 1e-5
"""Relative; a basis rounded to float32 misses by about 1e-7."""
TRIALS = 4
AT_ONCE = 200_000
"""Monomials times trials that are evaluated together."""


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@lru_cache
def turning(l_max: int) -> torch.Tensor:
    """Matrix that turns packed features of degrees 0..l_max by a rotation with inversion, from Y(R
    x) = D Y(x).
    """
    generator = _generator()
    matrix, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
    matrix = -matrix * torch.linalg.det(matrix).sign()
    x = torch.nn.functional.normalize(torch.randn(300, 3, dtype=torch.float64, generator=generator))
    harmonics = SphericalHarmonics(
        [harmonic_recursion(degree) for degree in range(2, max(l_max, 1) + 1)]
    ).double()
    before, after = harmonics(x), harmonics(x @ matrix.T)
    blocks = []
    for degree in range(l_max + 1):
        block = slice(degree**2, (degree + 1) ** 2)
        blocks.append(torch.linalg.lstsq(before[:, block], after[:, block]).solution.T)
    return torch.block_diag(*blocks)


def check_equivariant(
    monomials: torch.Tensor,
    components: torch.Tensor,
    basis: torch.Tensor,
    l_max: int,
    degree: int,
    what: str,
) -> None:
    """Raise UnknownModelError unless the polynomials `basis [Q, K]` of `monomials [Q, nu]` have
    values of one degree L.

    `components [Q]` says to which component M = 0..2L a monomial belongs.
    """
    n, generator = 2 * degree + 1, _generator()
    features = torch.randn(TRIALS, (l_max + 1) ** 2, dtype=torch.float64, generator=generator)
    turned = features @ turning(l_max).T
    before, after = (_values(x, monomials, components, basis, n) for x in (features, turned))
    rotation = turning(l_max)[degree**2 : (degree + 1) ** 2, degree**2 : (degree + 1) ** 2]
    error = (
        float((after - torch.einsum("MN,tNk->tMk", rotation, before)).abs().max())
        if basis.numel()
        else 0.0
    )
    scale = float(before.abs().max()) if basis.numel() else 0.0
    expect(
        error <= TOLERANCE * scale,
        f"{what} is not a basis of functions of degree {degree}, off by {error:.1e}",
    )


def _values(
    x: torch.Tensor, monomials: torch.Tensor, components: torch.Tensor, basis: torch.Tensor, n: int
) -> torch.Tensor:
    """Values `[trials, n, K]` of the polynomials at features `[trials, D]`."""
    result = x.new_zeros(n, len(x), basis.shape[1])
    step = max(AT_ONCE // max(basis.shape[1], 1), 1)
    for start in range(0, len(monomials), step):
        part = slice(start, start + step)
        terms = x[:, monomials[part]].prod(2).T.unsqueeze(2) * basis[part].unsqueeze(1)
        result.index_add_(0, components[part], terms)
    return result.transpose(0, 1)
