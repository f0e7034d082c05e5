"""Symmetric contraction: the product over neighbours' densities, as a sparse polynomial in the features of one atom."""

from __future__ import annotations

import torch


def symmetric_contraction(
    features: torch.Tensor, coefficients: torch.Tensor, monomials: torch.Tensor, row_sum: torch.Tensor
) -> torch.Tensor:
    """Products `[n, rows, channels]`:

        B[n, M, c] = sum_(monomials q of M) coefficients[., q, c] prod_(k in q) features[n, k, c]

    `features [n, D, channels]`; `coefficients [Q, channels]`, or `[n, Q, channels]` where they depend on the element;
    `monomials [Q, nu]` with D standing for the constant one; `row_sum [rows, Q]` is 1 where monomial q belongs to M.
    This is the plain torch reference: any number of derivatives, any device.
    """
    padded = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    terms = coefficients * padded.index_select(1, monomials[:, 0])
    for position in range(1, monomials.shape[1]):
        terms = terms * padded.index_select(1, monomials[:, position])
    return torch.matmul(row_sum, terms)
