"""Constants of the rotation group: definitions, e3nn's harmonics, tables counted by hand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from tolerances import SAME_NUMBERS, assert_close

from mhff.model.angular import SphericalHarmonics
from mhff.model.coupling import (
    clebsch_gordan,
    convolution_coupling,
    convolution_paths,
    harmonic_recursion,
    message_layout,
    product_basis,
    symmetric_basis,
)
from mhff.ops.contraction import symmetric_contraction

TRIANGLES = [
    (a, b, c) for a in range(4) for b in range(4) for c in range(abs(a - b), min(a + b, 3) + 1, 2)
]

SPOT_VALUES = {
    (0, 1, 1): ((0, 1, 1), 0.577350269190),
    (1, 1, 2): ((1, 1, 2), 0.365148371670),
    (1, 2, 3): ((1, 2, 3), 0.292770021885),
    (2, 2, 2): ((2, 2, 2), 0.239045721867),
}
"""One element of a tensor each, to twelve digits: they fix signs and the order of components."""

N_PATHS = {
    (1, 0): (1, 2, 2),
    (1, 1): (1, 1, 2),
    (2, 0): (1, 3, 5),
    (2, 1): (1, 2, 5),
    (2, 2): (1, 3, 6),
    (3, 0): (1, 4, 8),
    (3, 1): (1, 3, 12),
    (3, 2): (1, 5, 14),
    (3, 3): (1, 3, 15),
}
"""Dimension of the symmetric equivariant polynomials of order 1, 2, 3, by (l_max, L)."""

N_MONOMIALS = {
    (1, 0): ([1], [4], [4]),
    (1, 1): ([1] * 3, [1] * 3, [4] * 3),
    (2, 0): ([1], [9], [25]),
    (2, 1): ([1] * 3, [5, 4, 5], [19, 18, 19]),
    (2, 2): ([1] * 5, [4, 5, 9, 5, 6], [15, 17, 22, 17, 18]),
    (3, 0): ([1], [16], [77]),
    (3, 1): ([1] * 3, [13, 9, 13], [98, 82, 98]),
    (3, 2): ([1] * 5, [13, 14, 17, 14, 16], [76, 82, 77, 82, 81]),
    (3, 3): ([1] * 7, [8, 9, 13, 9, 13, 9, 8], [78, 76, 98, 82, 98, 82, 78]),
}
"""Non-zero monomials of order 1, 2, 3 in each component M = -L..L, by (l_max, L)."""


with torch.serialization.safe_globals([slice]):  # e3nn 0.4.4 reads its constants with torch.load
    from e3nn import o3


def harmonics(l_max: int) -> SphericalHarmonics:
    return SphericalHarmonics(
        [harmonic_recursion(degree) for degree in range(2, l_max + 1)]
    ).double()


def directions(n: int) -> torch.Tensor:
    vectors = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return vectors / vectors.norm(dim=1, keepdim=True)


def wigner_d(l_max: int, matrix: np.ndarray) -> torch.Tensor:
    """Matrix that turns packed features, from nothing but the definition Y(R x) = D Y(x)."""
    x, r = directions(200), torch.from_numpy(matrix)
    blocks = []
    for degree in range(l_max + 1):
        block = slice(degree**2, (degree + 1) ** 2)
        before, after = (harmonics(max(l_max, 1))(v)[:, block] for v in (x, x @ r.T))
        blocks.append(torch.linalg.lstsq(before, after).solution.T)
    return torch.block_diag(*blocks)


MATRIX = -Rotation.from_rotvec([0.7, -1.9, 0.4]).as_matrix()
"""A rotation and an inversion, so that parity is tested too."""


def test_harmonics_equal_e3nn() -> None:
    x = directions(50)
    expected = o3.spherical_harmonics(list(range(6)), x, normalize=True, normalization="component")
    assert_close(harmonics(5)(x), expected, SAME_NUMBERS._replace(absolute=1e-12))


def test_harmonics_by_hand() -> None:
    """Polar axis y; component normalisation."""
    x = torch.tensor([[0.0, 1.0, 0.0], [0.6, 0.0, 0.8]], dtype=torch.float64)
    found = harmonics(2)(x)
    assert_close(found[0], [1, 0, 3**0.5, 0, 0, 0, 5**0.5, 0, 0], SAME_NUMBERS)
    quadratic = [3**0.5 * 0.48, 0, -0.5, 0, 3**0.5 / 2 * 0.28]
    assert_close(
        found[1],
        [1, 0.6 * 3**0.5, 0, 0.8 * 3**0.5, *(5**0.5 * value for value in quadratic)],
        SAME_NUMBERS,
    )


def test_harmonics_have_unit_variance() -> None:
    squares = harmonics(4)(directions(10)).square()
    for degree in range(5):
        assert_close(
            squares[:, degree**2 : (degree + 1) ** 2].sum(1),
            np.full(10, 2 * degree + 1),
            SAME_NUMBERS,
        )


@pytest.mark.parametrize("degrees", TRIANGLES)
def test_coupling_tensors_are_orthogonal(degrees: tuple[int, int, int]) -> None:
    c = clebsch_gordan(*degrees)
    n = 2 * degrees[2] + 1
    assert c.shape == tuple(2 * degree + 1 for degree in degrees)
    assert_close(torch.einsum("abc,abd->cd", c, c), np.eye(n) / n, SAME_NUMBERS)


@pytest.mark.parametrize("degrees", TRIANGLES)
def test_coupling_tensors_are_invariant(degrees: tuple[int, int, int]) -> None:
    d = wigner_d(3, MATRIX)
    blocks = [d[degree**2 : (degree + 1) ** 2, degree**2 : (degree + 1) ** 2] for degree in degrees]
    c = clebsch_gordan(*degrees)
    assert_close(torch.einsum("abc,ia,jb,kc->ijk", c, *blocks), c, SAME_NUMBERS)


@pytest.mark.parametrize("degrees", TRIANGLES)
def test_signs_are_fixed(degrees: tuple[int, int, int]) -> None:
    """The central element is positive, and the order of the degrees is only an order of axes."""
    c = clebsch_gordan(*degrees)
    assert c[degrees] > 0.1
    for order in permutations(range(3)):
        assert_close(
            c.permute(order), clebsch_gordan(*(degrees[axis] for axis in order)), SAME_NUMBERS
        )


def test_odd_sums_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected degrees with an even sum, got 1, 2, 2"):
        clebsch_gordan(1, 2, 2)


@pytest.mark.parametrize("degrees", SPOT_VALUES)
def test_spot_values(degrees: tuple[int, int, int]) -> None:
    index, value = SPOT_VALUES[degrees]
    assert float(clebsch_gordan(*degrees)[index]) == pytest.approx(value, abs=1e-12)


def test_convolution_paths() -> None:
    assert convolution_paths(0, 3) == [(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3)]
    assert convolution_paths(1, 3) == [
        (0, 0, 0), (1, 1, 0),
        (0, 1, 1), (1, 0, 1), (1, 2, 1),
        (0, 2, 2), (1, 1, 2), (1, 3, 2),
        (0, 3, 3), (1, 2, 3),
    ]  # fmt: skip
    assert len(convolution_paths(2, 3)) == 17


@pytest.mark.parametrize("input_lmax", [0, 1, 2])
def test_convolution_is_equivariant(input_lmax: int) -> None:
    coupling = convolution_coupling(input_lmax, 3)
    d_in, d_sh = wigner_d(input_lmax, MATRIX), wigner_d(3, MATRIX)
    paths, rows = convolution_paths(input_lmax, 3), message_layout(input_lmax, 3).rows()
    turn = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for i, (path, m) in enumerate(rows):
        for j, (other, n) in enumerate(rows):
            if path == other:
                offset = paths[path][2] ** 2
                turn[i, j] = d_sh[offset + m, offset + n]
    turned = torch.einsum("boa,bB,aA->BoA", coupling, d_sh, d_in)
    assert_close(turned, torch.einsum("oO,bOa->boa", turn, coupling), SAME_NUMBERS)


@pytest.mark.parametrize(("l_max", "degree"), N_PATHS)
def test_numbers_of_paths_and_monomials(l_max: int, degree: int) -> None:
    for nu in (1, 2, 3):
        monomials, rows, basis = symmetric_basis(l_max, degree, nu)
        assert basis.shape[1] == N_PATHS[l_max, degree][nu - 1]
        assert torch.bincount(rows).tolist() == N_MONOMIALS[l_max, degree][nu - 1]
        assert len(monomials) == len(rows) == len(basis)
        assert (torch.diff(monomials, dim=1) >= 0).all()


@pytest.mark.parametrize(
    ("l_max", "degree", "nu"), [(2, 1, 2), (3, 0, 3), (3, 1, 3), (2, 2, 3), (2, 0, 4)]
)
def test_paths_are_orthogonal(l_max: int, degree: int, nu: int) -> None:
    """As tensors: a monomial stands for all its permutations."""
    monomials, _, basis = symmetric_basis(l_max, degree, nu)
    counts = torch.stack([(monomials == k).sum(1) for k in range((l_max + 1) ** 2)], 1)
    orders = torch.exp(
        torch.lgamma(torch.tensor(nu + 1.0)) - torch.lgamma(counts.double() + 1).sum(1)
    )
    gram = basis.T @ (basis / orders[:, None])
    assert_close(
        gram, (2 * degree + 1) * np.eye(basis.shape[1]), SAME_NUMBERS._replace(absolute=1e-5)
    )


@pytest.mark.parametrize(
    ("l_max", "output_lmax", "correlation"), [(1, 1, 3), (2, 2, 3), (3, 1, 3), (3, 0, 2), (2, 1, 4)]
)
def test_product_is_equivariant(l_max: int, output_lmax: int, correlation: int) -> None:
    generator = torch.Generator().manual_seed(1)
    basis = product_basis(l_max, output_lmax, correlation)
    n_rows, n_paths = (output_lmax + 1) ** 2, len(basis["paths"])
    assert basis["basis"].shape == (len(basis["monomials"]), n_paths)
    coefficients = basis["basis"] @ torch.randn(
        n_paths, 2, generator=generator, dtype=torch.float64
    )
    row_sum = torch.nn.functional.one_hot(basis["rows"], n_rows).T.double()
    features = torch.randn(3, (l_max + 1) ** 2, 2, generator=generator, dtype=torch.float64)

    def product(a: torch.Tensor) -> torch.Tensor:
        return symmetric_contraction(a, coefficients.unsqueeze(0), basis["monomials"], row_sum)

    before, after = product(features), product(wigner_d(l_max, MATRIX) @ features)
    assert before.abs().amax((0, 2)).min() > 1e-2
    assert_close(
        after, wigner_d(output_lmax, MATRIX) @ before, SAME_NUMBERS._replace(absolute=1e-11)
    )


def test_tensors_that_are_shared_are_never_those_of_inference_mode() -> None:
    """A network made in inference mode left them behind, and no later one could be trained."""
    clebsch_gordan.cache_clear()
    symmetric_basis.cache_clear()
    with torch.inference_mode():
        shared = [clebsch_gordan(1, 1, 0), *symmetric_basis(1, 1, 2)]
    assert not any(tensor.is_inference() for tensor in shared)
