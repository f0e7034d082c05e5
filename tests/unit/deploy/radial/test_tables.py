"""Tables interpolate smooth functions, their slopes too, whatever torch's gradient mode."""

from __future__ import annotations

import pytest
import torch
from tolerances import FINITE_DIFFERENCES, assert_close

from mhff.ops.spline import Spline
from mhff_deploy.radial.tables import interpolate, tabulate

SPLINE = Spline(1e-3, 5.0, 96)


def functions(r: torch.Tensor) -> torch.Tensor:
    """Two tables of two functions that end smoothly at 5 A."""
    end = (1 - r / 5) ** 4
    return torch.stack(
        [torch.stack([torch.sin(k * r) * end, torch.cos(k * r) * end], 1) for k in (1.0, 3.0)]
    )


def test_values_and_slopes() -> None:
    table = tabulate(functions, SPLINE)
    r = torch.linspace(SPLINE.r_min, 5.0, 1000, dtype=torch.float64).requires_grad_()
    found = interpolate(table, torch.ones(1000, dtype=torch.int64), r)
    right = functions(r)[1]
    assert_close(found.detach(), right.detach(), FINITE_DIFFERENCES)
    (slope,) = torch.autograd.grad(found.sum(), r)
    (expected,) = torch.autograd.grad(right.sum(), r)
    assert_close(slope, expected, FINITE_DIFFERENCES._replace(absolute=1e-6))


def test_nothing_is_left_at_the_cutoff() -> None:
    table = tabulate(functions, SPLINE)
    end = torch.tensor([5.0], dtype=torch.float64)
    assert interpolate(table, torch.zeros(1, dtype=torch.int64), end).abs().max() < 1e-14


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode: type[torch.no_grad] | type[torch.inference_mode]) -> None:
    expected = tabulate(functions, SPLINE).coefficients
    with mode():
        found = tabulate(functions, SPLINE).coefficients
    assert torch.equal(found, expected)
