"""Coefficients of splines of degree 5 through values at equidistant knots.

A spline interpolates its values, and their slope and curvature at both ends: C. de Boor, A
Practical Guide to Splines (1978), chapter XIII. The equations of its coefficients have at most five
terms and depend on the number of knots only, so they are factorised once for all functions.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import NamedTuple

import torch

from mhff.ops.spline import DEGREE, TAPS

FACTORIAL = 120
"""That of the degree."""


class Elimination(NamedTuple):
    """How an equation is solved: which multiples of others are subtracted, and its own factor."""

    above: list[tuple[int, float]]
    """Rows above and their multiples, in order."""
    below: list[tuple[int, float]]
    """Rows below and their multiples, once these are solved."""
    factor: float
    """One over the pivot."""


def basis_matrix() -> list[list[float]]:
    """Coefficients of x^0..x^5 of the six B-splines in an interval, x in [0, 1).

    The B-spline that begins n knots before is the sum over k <= n of (-1)^k C(6, k) (x + n - k)^5,
    over 5!.
    """
    return [[_coefficient(DEGREE - tap, power) for power in range(TAPS)] for tap in range(TAPS)]


def _coefficient(n: int, power: int) -> float:
    """Coefficient of x^power of the B-spline that begins n knots before."""
    terms = [(-1) ** k * comb(TAPS, k) * (n - k) ** (DEGREE - power) for k in range(n + 1)]
    return comb(DEGREE, power) * sum(terms) / FACTORIAL


def interpolate_in_place(rows: torch.Tensor) -> None:
    """Replace the right-hand sides of the equations by the coefficients.

    `rows [n_tables, n + 5, width]`: row 0 holds the slopes at the first knot and row 1 the
    curvatures, per interval; then come the values at all knots, the curvatures at the last knot and
    its slopes.
    """
    row = rows.unbind(1)
    steps = _eliminations(len(row))
    for own, step in zip(row, steps, strict=True):
        for other, multiple in step.above:
            own.sub_(row[other], alpha=multiple)
    for own, step in zip(reversed(row), reversed(steps), strict=True):
        for other, multiple in step.below:
            own.sub_(row[other], alpha=multiple)
        own.mul_(step.factor)


@lru_cache(maxsize=16)
def _eliminations(n_rows: int) -> tuple[Elimination, ...]:
    """Gaussian elimination of the equations, as it is applied to each row.

    In this order no pivoting is needed: every pivot exceeds 0.03 in magnitude.
    """
    equations = _equations(n_rows)
    steps = []
    for index, equation in enumerate(equations):
        above = []
        for other in range(max(index - DEGREE, 0), index):
            if multiple := equation.get(other, 0.0) / equations[other][other]:
                above.append((other, multiple))
                for column, value in equations[other].items():
                    if column > other:
                        equation[column] = equation.get(column, 0.0) - multiple * value
        pivot = equation[index]
        below = [(c, value) for c, value in sorted(equation.items()) if c > index and value]
        steps.append(Elimination(above, below, 1 / pivot))
    return tuple(steps)


def _equations(n_rows: int) -> list[dict[int, float]]:
    """Coefficients of each equation, by the row of the table that they multiply."""
    value, slope, half_curvature = ([row[power] for row in basis_matrix()] for power in range(3))
    curvature = [2 * each for each in half_curvature]
    last = n_rows - DEGREE
    of_rows = [(slope, 0), (curvature, 0), *((value, first) for first in range(last + 1))]
    of_rows += [(curvature, last), (slope, last)]
    return [
        {first + tap: factor for tap, factor in enumerate(factors) if factor}
        for factors, first in of_rows
    ]
