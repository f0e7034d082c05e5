"""Constants of the rotation group: Clebsch-Gordan tensors, convolution paths, product basis.

Real harmonics in e3nn's convention (polar axis y, component normalisation) and natural parity
throughout, so a path (l1, l2, l3) exists where l1 + l2 + l3 is even. Everything is float64. Models
keep these tensors exact and store them in their file, because their weights depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations_with_replacement, permutations

import torch

from mhff.ops.shapes import MessageLayout

MIN_INDEPENDENT_PART = 1e-9
"""A path is new if at least this fraction of its norm is orthogonal to all earlier paths."""


@lru_cache
@torch.inference_mode(False)  # later callers, who share the tensors, may need gradients
def clebsch_gordan(l1: int, l2: int, l3: int) -> torch.Tensor:
    """Coupling tensor `[2 l1 + 1, 2 l2 + 1, 2 l3 + 1]` of Frobenius norm 1, l1 + l2 + l3 even.

    Features of natural parity need no tensors with odd sums, whose signs differ between versions of
    e3nn.
    """
    if (l1 + l2 + l3) % 2:
        raise ValueError(f"expected degrees with an even sum, got {l1}, {l2}, {l3}")
    # e3nn 0.4.4 reads its constants with torch.load
    with torch.serialization.safe_globals([slice]):
        from e3nn import o3

    return o3.wigner_3j(l1, l2, l3, dtype=torch.float64)


def harmonic_recursion(degree: int) -> torch.Tensor:
    """Matrix `[(2l - 1) * 3, 2l + 1]`: unit-normalised Y_l from the outer product Y_(l-1) Y_1."""
    c = clebsch_gordan(degree, degree - 1, 1)
    return (c / c[degree, degree - 1, 1]).permute(1, 2, 0).reshape(-1, 2 * degree + 1)


def convolution_paths(input_lmax: int, l_max: int) -> list[tuple[int, int, int]]:
    """Paths (l1 of the feature, l2 of the harmonic, l3 of the message), by l3, then l1, then l2."""
    paths = [
        (l1, l2, l3)
        for l1 in range(input_lmax + 1)
        for l2 in range(l_max + 1)
        for l3 in range(abs(l1 - l2), min(l1 + l2, l_max) + 1)
        if (l1 + l2 + l3) % 2 == 0
    ]
    return sorted(paths, key=lambda path: path[2])


def message_layout(input_lmax: int, l_max: int) -> MessageLayout:
    """The layout of a message's rows."""
    return MessageLayout(convolution_paths(input_lmax, l_max))


def convolution_coupling(
    input_lmax: int, l_max: int, given: Mapping[tuple[int, int, int], torch.Tensor] | None = None
) -> torch.Tensor:
    """Tensor `[(l_max + 1)^2 harmonics, rows, (input_lmax + 1)^2 features]`.

    Each path carries the factor sqrt(2 l3 + 1). `given`: coupling tensors that replace the exact
    ones (`mhff.interop.mace.constants`).
    """
    given = given or {}
    paths = convolution_paths(input_lmax, l_max)
    layout = MessageLayout(paths)
    shape = ((l_max + 1) ** 2, layout.n_rows, (input_lmax + 1) ** 2)
    coupling = torch.zeros(shape, dtype=torch.float64)
    for path, (l1, l2, l3) in enumerate(paths):
        tensor = given[l1, l2, l3] if (l1, l2, l3) in given else clebsch_gordan(l1, l2, l3)
        for m in range(2 * l3 + 1):
            block = (2 * l3 + 1) ** 0.5 * tensor[:, :, m]
            row = layout.row(path, m)
            coupling[l2**2 : (l2 + 1) ** 2, row, l1**2 : (l1 + 1) ** 2] = block.T
    return coupling


def _path_tensors(l_max: int, nu: int, degree: int) -> list[torch.Tensor]:
    """Tensors `[2L + 1, D, ..., D]` of all ways to couple nu features in turn to one degree L."""
    dim = (l_max + 1) ** 2
    tensors = [
        (left, torch.eye(dim, dtype=torch.float64)[left**2 : (left + 1) ** 2])
        for left in range(l_max + 1)
    ]
    for order in range(2, nu + 1):
        reach = (
            nu - order
        ) * l_max  # the most by which the remaining features can change the degree
        longer = []
        for left, x in tensors:
            for right in range(l_max + 1):
                for out in range(
                    max(abs(left - right), degree - reach), min(left + right, degree + reach) + 1
                ):
                    if (out + left + right) % 2:
                        continue
                    new = x.new_zeros(2 * out + 1, *x.shape[1:], dim)
                    coupled = torch.einsum("ajm,j...->a...m", clebsch_gordan(out, left, right), x)
                    new[..., right**2 : (right + 1) ** 2] = (2 * out + 1) ** 0.5 * coupled
                    longer.append((out, new))
        tensors = longer
    return [tensor for out, tensor in tensors if out == degree]


def _symmetrised(x: torch.Tensor) -> torch.Tensor:
    """Mean of `[2L + 1, D, ..., D]` over the permutations of its last axes."""
    orders = list(permutations(range(1, x.dim())))
    return sum((x.permute(0, *order) for order in orders), torch.zeros_like(x)) / len(orders)


@lru_cache
@torch.inference_mode(False)  # later callers, who share the tensors, may need gradients
def symmetric_basis(
    l_max: int, degree: int, nu: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Basis of the equivariant symmetric polynomials of order nu and one degree, as monomials.

    Returns `monomials [Q, nu]` (sorted feature indices), `rows [Q]` (component M of the output) and
    `basis [Q, K]`: coefficients of K orthogonal paths of squared tensor norm 2L + 1. Built by
    Gram-Schmidt in the order of the coupling recursion, so it is the same on every machine up to
    rounding.
    """
    chosen: list[torch.Tensor] = []
    for tensor in _path_tensors(l_max, nu, degree):
        path = _symmetrised(tensor).flatten()
        norm = path.norm()
        for _ in range(2):  # twice is enough for orthogonality to rounding
            for other in chosen:
                path = path - (other @ path) * other
        if (
            path.norm() > MIN_INDEPENDENT_PART * (2 * degree + 1) ** 0.5
            and path.norm() > MIN_INDEPENDENT_PART * norm
        ):
            chosen.append(path / path.norm())
    dim = (l_max + 1) ** 2
    paths = (
        torch.stack(chosen, -1).reshape(2 * degree + 1, *[dim] * nu, len(chosen))
        * (2 * degree + 1) ** 0.5
    )
    indices = torch.tensor(list(combinations_with_replacement(range(dim), nu)))
    multiplicity = torch.tensor(
        [len(set(permutations(index))) for index in indices.tolist()], dtype=torch.float64
    )
    coefficients = paths[(slice(None), *indices.T)] * multiplicity[:, None]
    rows, kept = (coefficients.abs().amax(-1) > MIN_INDEPENDENT_PART).nonzero(as_tuple=True)
    return indices[kept], rows, coefficients[rows, kept]


def product_basis(l_max: int, output_lmax: int, correlation: int) -> dict[str, torch.Tensor]:
    """Symmetric contraction of all orders and output degrees as one list of monomials.

    `monomials [Q, correlation]` are indices into the (l_max + 1)^2 features, padded with (l_max +
    1)^2 (the constant one); `rows [Q]` the packed output component; `basis [Q, K]` block diagonal
    over (degree, nu); `paths [K]` the number of paths in each path's own block (weights start as
    N(0, 1) / paths).
    """
    dim = (l_max + 1) ** 2
    monomials, rows, blocks, paths = [], [], [], []
    for degree in range(output_lmax + 1):
        for nu in range(1, correlation + 1):
            indices, components, basis = symmetric_basis(l_max, degree, nu)
            monomials.append(torch.nn.functional.pad(indices, (0, correlation - nu), value=dim))
            rows.append(components + degree**2)
            blocks.append(basis)
            paths.append(torch.full((basis.shape[1],), basis.shape[1]))
    return {
        "monomials": torch.cat(monomials),
        "rows": torch.cat(rows),
        "basis": torch.block_diag(*blocks),
        "paths": torch.cat(paths),
    }
