"""Tables of radial functions: coefficients of splines (`mhff.ops.spline`).

A spline interpolates the function at the knots, and its slope and curvature at both ends:
C. de Boor, A Practical Guide to Splines (1978), chapter XIII.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from scipy.interpolate import BSpline, make_interp_spline

from mhff.ops.spline import DEGREE, TAPS, Spline
from mhff_deploy.radial.inputs import TableInputs, choose_table

Functions = Callable[[torch.Tensor], torch.Tensor]
"""Differentiable functions from distances `[n]`, A, float64, to values `[n_tables, n, width]`."""


@dataclass(frozen=True)
class Table:
    """Functions of the distance, given by the coefficients of their splines."""

    coefficients: torch.Tensor
    """`[n_tables, n_intervals + 5, width]`, float64."""
    spline: Spline


def tabulate(functions: Functions, spline: Spline) -> Table:
    """Table of functions that vanish with their derivatives at `r_max`, as radial functions do."""
    n_intervals = spline.n_intervals
    step = 1 / spline.per_length
    knots = spline.r_min + step * np.arange(n_intervals + 1)
    values, slope, curvature = _values_and_derivatives(functions, torch.from_numpy(knots))
    n_tables, _, width = values.shape
    columns = values.transpose(1, 0, 2).reshape(n_intervals + 1, -1)
    columns[-1] = 0.0
    zeros = np.zeros(columns.shape[1])
    begin = [(1, slope.reshape(-1)), (2, curvature.reshape(-1))]
    end = [(1, zeros), (2, zeros)]
    all_knots = spline.r_min + step * np.arange(-DEGREE, n_intervals + DEGREE + 1)
    fit = make_interp_spline(knots, columns, k=DEGREE, t=all_knots, bc_type=(begin, end))
    coefficients = fit.c.reshape(-1, n_tables, width).transpose(1, 0, 2)
    return Table(torch.from_numpy(np.ascontiguousarray(coefficients)), spline)


def _values_and_derivatives(
    functions: Functions, knots: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values at the knots `[n_tables, n, width]`, slope and curvature at the first of them.

    Slope and curvature are `[n_tables, width]`.
    """
    with torch.no_grad():
        values = functions(knots)
    with torch.inference_mode(False), torch.enable_grad():
        first = knots[:1].clone().requires_grad_(True)
        begin = functions(first)[:, 0]
        # a gradient is linear in its cotangent, with the derivatives of all functions as factors
        cotangent = torch.ones_like(begin, requires_grad=True)
        once = _gradient((begin * cotangent).sum(), first)
        twice = _gradient(once.sum(), first)
        slope, curvature = _gradient(once.sum(), cotangent), _gradient(twice.sum(), cotangent)
    return values.numpy().copy(), slope.detach().numpy(), curvature.detach().numpy()


def _gradient(value: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """A gradient that can be differentiated again; zero where nothing depends on `by`."""
    found = torch.autograd.grad(value, by, create_graph=True, materialize_grads=True)
    return found[0]


def spline_weights(x: torch.Tensor) -> torch.Tensor:
    """Weights `[n, 6]` of the rows k..k+5 at x in [0, 1) of interval k."""
    powers = torch.stack([x**power for power in range(TAPS)], dim=1)
    return powers @ _BASIS.to(x).T


def locate(spline: Spline, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Interval `[n]` of distances from the first to the last knot, and x in [0, 1] within it."""
    at = (r - spline.r_min) * spline.per_length
    interval = at.detach().to(torch.int64).clamp(0, spline.n_intervals - 1)
    return interval, at - interval


def interpolate(table: Table, which: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """Values `[n, width]` of table `which [n]` at distances `[n]`: the reference for kernels."""
    interval, x = locate(table.spline, r)
    rows = table.coefficients.to(r).flatten(0, 1)
    return _sum_of_rows(rows, which * table.spline.n_rows + interval, x)


def interpolate_given(
    given: TableInputs, knots: Spline, ends: torch.Tensor, r: torch.Tensor
) -> torch.Tensor:
    """Edge densities `[E, layers]` from a program's inputs, between the first and last of `knots`.

    The number of intervals is a tensor of the inputs, so that no compiled code holds it. Raises
    ValueError if there are no densities.
    """
    if given.densities is None:
        raise ValueError("expected edge densities, got none; read them where a layer has some")
    n_intervals = given.n_intervals
    at = (r - knots.r_min) * (n_intervals.to(r.dtype) / (knots.r_max - knots.r_min))
    interval = torch.minimum(at.detach().to(torch.int64).clamp(min=0), n_intervals - 1)
    which = choose_table(given.table_of, ends)
    return _sum_of_rows(given.densities, which * (n_intervals + DEGREE) + interval, at - interval)


def _sum_of_rows(rows: torch.Tensor, first: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Values `[n, width]` from six rows each, the first of which is given, at x in [0, 1]."""
    weights = spline_weights(x)
    taps = [weights[:, tap, None] * rows.index_select(0, first + tap) for tap in range(TAPS)]
    return torch.stack(taps).sum(0)


def refined(coefficients: torch.Tensor) -> torch.Tensor:
    """The same splines `[n_tables, n + 5, width]` on knots half as far apart, `[.., 2 n + 5, ..]`.

    A B-spline of degree 5 is the sum of seven on those knots, with the weights of a binomial.
    """
    n_tables, n_rows, width = coefficients.shape
    finer = coefficients.new_zeros(n_tables, 2 * n_rows + TAPS, width)
    for k in range(TAPS + 1):
        finer[:, k : k + 2 * n_rows : 2] += comb(TAPS, k) / 2**DEGREE * coefficients
    return finer[:, DEGREE : 2 * n_rows]


def _basis_matrix() -> torch.Tensor:
    """Coefficients of x^0..x^5 of the six B-splines in an interval, `[6, 6]`."""
    rows = np.zeros((TAPS, TAPS))
    x = np.linspace(0, 1, TAPS)
    element = BSpline.basis_element(np.arange(TAPS + 1), extrapolate=False)
    for tap in range(TAPS):
        # row k + tap belongs to the B-spline that begins 5 - tap knots before interval k
        values = np.nan_to_num(element(x + DEGREE - tap))
        rows[tap] = np.linalg.solve(np.vander(x, TAPS, increasing=True), values)
    return torch.from_numpy(rows)


with torch.inference_mode(False):
    # a caller's inference mode, in which this module may be imported, would forbid gradients
    _BASIS = _basis_matrix()
