"""Splines of degree 5 with equidistant knots, the basis of tables of radial functions.

A function of the distance r is the sum over k of T[k] b(x - k), x = (r - r_min) per_length. At each
x only six B-splines b are non-zero, so a value reads six consecutive rows of the table T. Hermite
splines need three numbers per knot for the same error; B-splines need one, so a table stays in
cache. C. de Boor, A Practical Guide to Splines (1978), chapters IX and XIII.
"""

from __future__ import annotations

from dataclasses import dataclass

DEGREE = 5
TAPS = DEGREE + 1
"""Rows of a table that a value reads."""


@dataclass(frozen=True)
class Spline:
    """Equidistant knots from `r_min` to `r_max`, A."""

    r_min: float
    r_max: float
    n_intervals: int

    @property
    def per_length(self) -> float:
        """Intervals per A."""
        return self.n_intervals / (self.r_max - self.r_min)

    @property
    def n_rows(self) -> int:
        """Rows of a table."""
        return self.n_intervals + DEGREE
