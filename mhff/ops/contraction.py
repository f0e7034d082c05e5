"""Symmetric contraction: many-body products as sparse polynomials in the features of one atom.

    B[n, M, c] = sum_(monomials q of M) coefficients[., q, c] prod_(k in q) features[n, k, c]

`symmetric_contraction` is the plain torch reference with any number of derivatives (training);
`contract_sets` is the same for coefficients of each element, as a network has them.
`mhff::symmetric_contraction` is one operator with a hand-derived adjoint (inference): compiled
programs keep it as a single node, and kernels take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch

from mhff.ops.reference_operators import REFERENCE
from mhff.ops.registration import define

ATOMS_AT_ONCE = 8
"""Atoms that the operator treats at once, so that intermediate values stay in cache."""

Contract = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Signature of `symmetric_contraction`: the function itself, or the operator."""


class ContractSets(Protocol):
    """Signature of `contract_sets`: the function itself, by an operator, or a kernel."""

    def __call__(
        self,
        features: torch.Tensor,
        coefficients: torch.Tensor,
        species: torch.Tensor,
        monomials: torch.Tensor,
        row_sum: torch.Tensor,
    ) -> torch.Tensor:
        """See `contract_sets`."""
        ...


def contract_sets(
    features: torch.Tensor,
    coefficients: torch.Tensor,
    species: torch.Tensor,
    monomials: torch.Tensor,
    row_sum: torch.Tensor,
) -> torch.Tensor:
    """Products `[n, rows, channels]` with sets of coefficients.

    `coefficients [n_sets, Q, channels]`: one set for all atoms, or one for each element; `species
    [n]`. For the rest see `symmetric_contraction`.
    """
    return symmetric_contraction(features, _of_atoms(coefficients, species), monomials, row_sum)


def contract_sets_by_operator(
    features: torch.Tensor,
    coefficients: torch.Tensor,
    species: torch.Tensor,
    monomials: torch.Tensor,
    row_sum: torch.Tensor,
) -> torch.Tensor:
    """`contract_sets` through `contraction_operator`."""
    return contraction_operator(features, _of_atoms(coefficients, species), monomials, row_sum)


def _of_atoms(coefficients: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
    """Coefficients of each atom, or the only set."""
    return coefficients.index_select(0, species) if coefficients.shape[0] > 1 else coefficients


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


def _in_pieces(
    features: torch.Tensor,
    coefficients: torch.Tensor,
    monomials: torch.Tensor,
    row_sum: torch.Tensor,
) -> torch.Tensor:
    """`symmetric_contraction`, some atoms at a time."""
    products = features.new_empty(features.shape[0], row_sum.shape[0], features.shape[2])
    for n, of_atoms in _pieces(features, coefficients):
        products[n] = symmetric_contraction(features[n], of_atoms, monomials, row_sum)
    return products


def _adjoint(
    gradient: torch.Tensor,
    features: torch.Tensor,
    coefficients: torch.Tensor,
    monomials: torch.Tensor,
    row_sum: torch.Tensor,
) -> torch.Tensor:
    """Gradient with respect to the features, from that of the products."""
    result = torch.zeros_like(features)
    row = row_sum.argmax(0)
    dim = features.shape[1]
    for n, of_atoms in _pieces(features, coefficients):
        factors = _factors(features[n], monomials)
        outer = of_atoms * gradient[n].index_select(1, row)
        padded = result.new_zeros(factors[0].shape[0], dim + 1, features.shape[2])
        for position, index in enumerate(monomials.unbind(1)):
            term = outer
            for other, factor in enumerate(factors):
                if other != position:
                    term = term * factor
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


_OPERATORS = define(
    "mhff",
    "symmetric_contraction",
    REFERENCE["symmetric_contraction"],
    {"": _in_pieces, "_adjoint": _adjoint},
)
contraction_operator: Contract = _OPERATORS[""]
"""`symmetric_contraction` as an operator, differentiable in the features only."""
contraction_adjoint: Callable[..., torch.Tensor] = _OPERATORS["_adjoint"]
"""Gradient of the features, from that of the products `[n, rows, channels]`, as an operator."""
