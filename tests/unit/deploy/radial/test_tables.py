"""Tables interpolate smooth functions, their slopes too, whatever torch's gradient mode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.interpolate import make_interp_spline
from tolerances import FINITE_DIFFERENCES, ROUNDING, assert_close

from mhff.ops.spline import DEGREE, Spline
from mhff_deploy.radial.inputs import TableInputs, choose_table
from mhff_deploy.radial.tables import Table, interpolate, interpolate_given, refined, tabulate

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


def test_refined_tables_are_the_same_functions() -> None:
    coarse = tabulate(functions, SPLINE)
    finer = Table(refined(coarse.coefficients), replace(SPLINE, n_intervals=192))
    assert finer.coefficients.shape == (2, 197, 2)
    r = torch.linspace(SPLINE.r_min, 5.0, 1000, dtype=torch.float64)
    which = torch.arange(1000) % 2
    assert_close(interpolate(finer, which, r), interpolate(coarse, which, r), ROUNDING)


def test_tables_given_as_inputs_are_read_alike() -> None:
    table = tabulate(functions, SPLINE)
    table_of = torch.tensor([[0, 1], [1, 0]])
    rows = table.coefficients.flatten(0, 1)
    given = TableInputs(table_of, torch.tensor([SPLINE.n_intervals]), (), rows)
    r = torch.linspace(SPLINE.r_min, 5.0, 100, dtype=torch.float64).requires_grad_()
    ends = torch.stack([torch.arange(100) % 2, torch.arange(100) // 2 % 2])
    found = interpolate_given(given, replace(SPLINE, n_intervals=1), ends, r)
    expected = interpolate(table, choose_table(table_of, ends), r)
    assert_close(found.detach(), expected.detach(), ROUNDING)
    slopes = [torch.autograd.grad(values.sum(), r)[0] for values in (found, expected)]
    assert_close(*slopes, ROUNDING)


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


@pytest.mark.parametrize("n_intervals", [1, 2, 7, 96, 1000])
def test_coefficients_are_those_of_scipy(n_intervals: int) -> None:
    """The same interpolation, by a general solver with pivots."""
    spline = replace(SPLINE, n_intervals=n_intervals)
    found = tabulate(functions, spline).coefficients
    step = 1 / spline.per_length
    knots = spline.r_min + step * np.arange(-DEGREE, n_intervals + DEGREE + 1)
    values = functions(torch.from_numpy(knots[DEGREE:-DEGREE])).numpy().transpose(1, 0, 2)
    at = torch.tensor([spline.r_min], dtype=torch.float64)
    slope = torch.func.jvp(functions, (at,), (torch.ones_like(at),))[1][:, 0]
    curvature = torch.func.jvp(
        lambda r: torch.func.jvp(functions, (r,), (torch.ones_like(r),))[1],
        (at,),
        (torch.ones_like(at),),
    )[1][:, 0]
    zeros = np.zeros_like(slope.numpy())
    ends = ([(1, slope.numpy()), (2, curvature.numpy())], [(1, zeros), (2, zeros)])
    fit = make_interp_spline(knots[DEGREE:-DEGREE], values, k=DEGREE, t=knots, bc_type=ends)
    right = torch.from_numpy(fit.c.transpose(1, 0, 2))
    assert_close(found, right, ROUNDING)
