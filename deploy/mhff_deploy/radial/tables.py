"""Tables of radial functions: coefficients of splines (`mhff.ops.spline`).

A spline interpolates the function at the knots, and its slope and curvature at both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import torch

from mhff.ops.spline import DEGREE, TAPS, Spline
from mhff_deploy.radial.inputs import TableInputs, choose_table
from mhff_deploy.radial.splines import basis_matrix, interpolate_in_place

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
    step = 1 / spline.per_length
    knots = spline.r_min + step * torch.arange(spline.n_intervals, dtype=torch.float64)
    with torch.no_grad():
        values = functions(knots)
        slope, curvature = _derivatives(functions, knots[:1])
        n_tables, _, width = values.shape
        rows = values.new_zeros(n_tables, spline.n_rows, width)
        rows[:, 0] = slope * step
        rows[:, 1] = curvature * step**2
        rows[:, 2 : 2 + spline.n_intervals] = values
        interpolate_in_place(rows)
    return Table(rows, spline)


def _derivatives(functions: Functions, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Slopes and curvatures at one distance, `[n_tables, width]` each."""
    with torch.inference_mode(False), torch.enable_grad():
        at = r.clone().requires_grad_(True)
        values = functions(at)[:, 0]
        # a gradient is linear in its cotangent, with the derivatives of all functions as factors
        cotangent = torch.ones_like(values, requires_grad=True)
        once = _gradient((values * cotangent).sum(), at)
        twice = _gradient(once.sum(), at)
        slope, curvature = _gradient(once.sum(), cotangent), _gradient(twice.sum(), cotangent)
    return slope.detach(), curvature.detach()


def _gradient(value: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """A gradient that can be differentiated again; zero where nothing depends on `by`."""
    found = torch.autograd.grad(value, by, create_graph=True, materialize_grads=True)
    return found[0]


def spline_weights(x: torch.Tensor) -> torch.Tensor:
    """Weights `[n, 6]` of the rows k..k+5 at x in [0, 1) of interval k."""
    powers = torch.stack([x**power for power in range(TAPS)], dim=1)
    return powers @ BASIS.to(x).T


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
        finer[:, k : k + 2 * n_rows : 2].add_(coefficients, alpha=comb(TAPS, k) / 2**DEGREE)
    return finer[:, DEGREE : 2 * n_rows]


with torch.inference_mode(False):
    # a caller's inference mode, in which this module may be imported, would forbid gradients
    BASIS = torch.tensor(basis_matrix(), dtype=torch.float64)
