"""A check, with random numbers, that the polynomials of a file rotate with their arguments."""

from __future__ import annotations

from functools import lru_cache

import torch

from mhff.interop.mace.refusals import expect
from mhff.model.angular import SphericalHarmonics
from mhff.model.coupling import harmonic_recursion

TOLERANCE = 1e-5
"""Relative error; a basis rounded to float32 is off by about 1e-7."""
N_TRIALS = 4
"""Number of random arguments."""
BLOCK_SIZE = 200_000
"""Coefficients that are evaluated together."""


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@lru_cache
def rotation_matrix(l_max: int) -> torch.Tensor:
    """Matrix D of a rotation with inversion R for packed features of degrees 0..l_max.

    It solves Y(R x) = D Y(x) for the spherical harmonics Y of random x.
    """
    generator = _generator()
    matrix, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
    matrix = -matrix * torch.linalg.det(matrix).sign()
    x = torch.nn.functional.normalize(torch.randn(300, 3, dtype=torch.float64, generator=generator))
    recursions = [harmonic_recursion(degree) for degree in range(2, max(l_max, 1) + 1)]
    harmonics = SphericalHarmonics(recursions).double()
    before = harmonics(x)
    after = harmonics(x @ matrix.T)
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
    """Raise UnknownModelError unless the polynomials `basis [Q, K]` transform like degree L.

    `monomials [Q, nu]` are the indices of their factors among packed features of degrees 0..l_max,
    and `components [Q]` says to which component M = 0..2L each of them belongs. `what` names the
    basis in the sentence.
    """
    n_components = 2 * degree + 1
    features = torch.randn(N_TRIALS, (l_max + 1) ** 2, dtype=torch.float64, generator=_generator())
    rotation = rotation_matrix(l_max)
    before = _values(features, monomials, components, basis, n_components)
    after = _values(features @ rotation.T, monomials, components, basis, n_components)
    block = slice(degree**2, (degree + 1) ** 2)
    expected = torch.einsum("MN,tNk->tMk", rotation[block, block], before)
    error = float((after - expected).abs().max())
    expect(
        error <= TOLERANCE * float(before.abs().max()),
        f"{what} is not a basis of functions of degree {degree}, off by {error:.1e}",
    )


def _values(
    x: torch.Tensor,
    monomials: torch.Tensor,
    components: torch.Tensor,
    basis: torch.Tensor,
    n_components: int,
) -> torch.Tensor:
    """Values `[trials, n_components, K]` of the polynomials at features `x [trials, D]`."""
    result = x.new_zeros(n_components, len(x), basis.shape[1])
    step = max(BLOCK_SIZE // basis.shape[1], 1)
    for start in range(0, len(monomials), step):
        block = slice(start, start + step)
        terms = x[:, monomials[block]].prod(2).T.unsqueeze(2) * basis[block].unsqueeze(1)
        result.index_add_(0, components[block], terms)
    return result.transpose(0, 1)
