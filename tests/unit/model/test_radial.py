"""Radial functions, their formulas written out for single numbers."""

from __future__ import annotations

import math

import pytest
import torch
from tolerances import SAME_NUMBERS, assert_close

from mhff.model.config import ModelConfig
from mhff.model.constants import model_constants
from mhff.model.radial import RadialBasis, ZBLRepulsion, polynomial_envelope


def config(**settings: object) -> ModelConfig:
    """H, O and Mg have the covalent radii 0.31, 0.66 and 1.41 A."""
    return ModelConfig(elements=("H", "O", "Mg"), r_max=5.0, n_radial=4, n_channels=1, **settings)


def radial_basis(settings: ModelConfig) -> RadialBasis:
    return RadialBasis(settings, model_constants(settings))


def repulsion_of(settings: ModelConfig) -> ZBLRepulsion:
    return ZBLRepulsion(settings, model_constants(settings))


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("power", [2, 5, 6])
def test_envelope(power: int) -> None:
    x = tensor(0.0, 1.0 - 1e-12, 1.0, 1.7).requires_grad_()
    value = polynomial_envelope(x, power)
    assert_close(value.detach(), [1, 0, 0, 0], SAME_NUMBERS)
    assert value[2:].tolist() == [0, 0]
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert_close(slope.detach()[1:], [0, 0, 0], SAME_NUMBERS._replace(absolute=1e-9))
    assert_close(curvature[1:], [0, 0, 0], SAME_NUMBERS._replace(absolute=1e-9))


def test_envelope_in_the_middle() -> None:
    assert float(polynomial_envelope(tensor(0.5), 5)) == pytest.approx(
        1 - 21 / 32 + 35 / 64 - 15 / 128, abs=1e-14
    )


@pytest.mark.parametrize("apply_cutoff", [True, False])
def test_bessel_basis(apply_cutoff: bool) -> None:
    basis = radial_basis(
        config(interaction="residual", distance_transform="none", apply_cutoff=apply_cutoff)
    ).double()
    found, envelope = basis(tensor(1.7), torch.tensor([0]), torch.tensor([2]))
    factor = float(polynomial_envelope(tensor(1.7 / 5), 5))
    assert_close(envelope, [[factor]], SAME_NUMBERS)
    expected = [math.sqrt(2 / 5) * math.sin(n * math.pi * 1.7 / 5) / 1.7 for n in (1, 2, 3, 4)]
    assert_close(
        found[0], [value * (factor if apply_cutoff else 1) for value in expected], SAME_NUMBERS
    )


def test_agnesi_transform() -> None:
    """The mean of the radii scales the distance; the envelope keeps the plain one."""
    basis = radial_basis(config()).double()
    found, envelope = basis(tensor(1.7), torch.tensor([0]), torch.tensor([2]))
    u = 1.7 / ((0.31 + 1.41) / 2)
    d = 1 / (1 + 1.0805 * u**0.9183 / (1 + u ** (0.9183 - 4.5791)))
    assert_close(
        found[0],
        [math.sqrt(2 / 5) * math.sin(n * math.pi * d / 5) / d for n in (1, 2, 3, 4)],
        SAME_NUMBERS,
    )
    assert_close(envelope[0], polynomial_envelope(tensor(1.7 / 5), 5), SAME_NUMBERS)


@pytest.mark.parametrize("r", [0.9, 1.7, 3.0])
def test_soft_transform(r: float) -> None:
    """The sum of the radii: at short distance it takes the place of the distance."""
    basis = radial_basis(config(distance_transform="soft", radial_basis="gaussian")).double()
    found, _ = basis(tensor(r), torch.tensor([0]), torch.tensor([2]))
    inner, outer = 0.75 * (0.31 + 1.41), 4 / 3 * (0.31 + 1.41)
    d = inner + (r - inner) * (1 + math.tanh(4 / (outer - inner) * (r - (inner + outer) / 2))) / 2
    centres, width = (0, 5 / 3, 10 / 3, 5), 5 / 3
    assert_close(
        found[0], [math.exp(-0.5 * ((d - centre) / width) ** 2) for centre in centres], SAME_NUMBERS
    )


@pytest.mark.parametrize("r", [0.6, 1.0, 4.2])
def test_chebyshev_basis(r: float) -> None:
    """Polynomials of the first kind of the distance as it is, T_1 to T_4."""
    basis = radial_basis(config(distance_transform="none", radial_basis="chebyshev")).double()
    found, _ = basis(tensor(r), torch.tensor([0]), torch.tensor([2]))
    assert_close(
        found[0], [r, 2 * r**2 - 1, 4 * r**3 - 3 * r, 8 * r**4 - 8 * r**2 + 1], SAME_NUMBERS
    )


def test_pair_repulsion() -> None:
    repulsion = repulsion_of(config()).double()
    r = 1.2
    found = repulsion(
        tensor(r, 1.8, 2.07, 3.0), torch.tensor([1, 1, 1, 1]), torch.tensor([2, 2, 2, 2])
    )
    x = r / (0.4543 * 0.529 / (8**0.3 + 12**0.3))
    terms = ((0.1818, 3.2), (0.5099, 0.9423), (0.2802, 0.4028), (0.02817, 0.2016))
    screening = sum(coefficient * math.exp(-exponent * x) for coefficient, exponent in terms)
    envelope = float(polynomial_envelope(tensor(r / (0.66 + 1.41)), 5))
    assert float(found[0]) == pytest.approx(
        0.5 * 14.3996 * 8 * 12 / r * screening * envelope, rel=1e-12
    )
    assert float(found[1]) > 0
    assert found[2:].tolist() == [0, 0]


def test_pair_repulsion_ends_at_the_cutoff_of_the_model() -> None:
    short = ModelConfig(elements=("H", "O", "Mg"), r_max=1.5)
    found = repulsion_of(short).double()(
        tensor(1.4, 1.5, 1.6), torch.tensor([2, 2, 2]), torch.tensor([2, 2, 2])
    )
    assert float(found[0]) > 0
    assert found[1:].tolist() == [0, 0]
