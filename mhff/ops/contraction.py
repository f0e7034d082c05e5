"""Symmetric contraction: the product over neighbours' densities, as a sparse polynomial in the
features of one atom.

    B[n, M, c] = sum_(monomials q of M) coefficients[., q, c] prod_(k in q) features[n, k, c]

`symmetric_contraction` is the plain torch reference with any number of derivatives (training).
`mhff::symmetric_contraction` is the same as one operator with a hand-derived adjoint (inference):
compiled programs keep it as a single node, and kernels take its place.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

ATOMS_AT_ONCE = 8
"""The operator works through the atoms in pieces whose intermediate values stay in cache."""


def symmetric_contraction(
    features: torch.Tensor,
    coefficients: torch.Tensor,
    monomials: torch.Tensor,
    row_sum: torch.Tensor,
) -> torch.Tensor:
    """Products `[n, rows, channels]` (formula at the top of this module).

    `features [n, D, channels]`; `coefficients [1, Q, channels]`, or `[n, Q, channels]` where they
    depend on the element; `monomials [Q, nu]` with D standing for the constant one; `row_sum [rows,
    Q]` is 1 where monomial q belongs to M.
    """
    terms = coefficients
    for factor in _factors(features, monomials):
        terms = terms * factor
    return torch.matmul(row_sum, terms)


def _factors(features: torch.Tensor, monomials: torch.Tensor) -> list[torch.Tensor]:
    """The nu factors of every monomial, each `[n, Q, channels]`."""
    padded = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    return [padded.index_select(1, index) for index in monomials.unbind(1)]


@torch.library.custom_op("mhff::symmetric_contraction", mutates_args=())
def contraction_operator(
    features: torch.Tensor,
    coefficients: torch.Tensor,
    monomials: torch.Tensor,
    row_sum: torch.Tensor,
) -> torch.Tensor:
    """`symmetric_contraction` as an operator; the gradient with respect to the features is all it
    has.
    """
    products = features.new_empty(features.shape[0], row_sum.shape[0], features.shape[2])
    for n, of_atoms in _pieces(features, coefficients):
        products[n] = symmetric_contraction(features[n], of_atoms, monomials, row_sum)
    return products


@torch.library.custom_op("mhff::symmetric_contraction_adjoint", mutates_args=())
def contraction_adjoint(
    gradient: torch.Tensor,
    features: torch.Tensor,
    coefficients: torch.Tensor,
    monomials: torch.Tensor,
    row_sum: torch.Tensor,
) -> torch.Tensor:
    """Gradient with respect to the features from that of the products, `[n, rows, channels]`."""
    result = torch.zeros_like(features)
    row, dim = row_sum.argmax(0), features.shape[1]
    for n, of_atoms in _pieces(features, coefficients):
        factors = _factors(features[n], monomials)
        outer = of_atoms * gradient[n].index_select(1, row)
        padded = result.new_zeros(factors[0].shape[0], dim + 1, features.shape[2])
        for position, index in enumerate(monomials.unbind(1)):
            term = outer
            for other, factor in enumerate(factors):
                term = term if other == position else term * factor
            padded.index_add_(1, index, term)
        result[n] = padded[:, :dim]
    return result


def _pieces(
    features: torch.Tensor, coefficients: torch.Tensor
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Slices of atoms with their coefficients."""
    for start in range(0, features.shape[0], ATOMS_AT_ONCE):
        n = slice(start, start + ATOMS_AT_ONCE)
        yield n, coefficients if coefficients.shape[0] == 1 else coefficients[n]


@contraction_operator.register_fake
def _(features, coefficients, monomials, row_sum):  # type: ignore[no-untyped-def]
    return features.new_empty(features.shape[0], row_sum.shape[0], features.shape[2])


@contraction_adjoint.register_fake
def _(gradient, features, coefficients, monomials, row_sum):  # type: ignore[no-untyped-def]
    return torch.empty_like(features)


def _setup(ctx, inputs, output):  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _backward(ctx, gradient):  # type: ignore[no-untyped-def]
    return contraction_adjoint(gradient, *ctx.saved_tensors), None, None, None


contraction_operator.register_autograd(_backward, setup_context=_setup)
