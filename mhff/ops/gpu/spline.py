"""Triton code that evaluates splines (`mhff.ops.spline`), without divisions, which are slow.

The weights are those of `cpu/include/table.h`.
"""

from __future__ import annotations

from mhff.ops.spline import TAPS, Spline

WEIGHTS = f"""
@triton.jit
def spline_weights(x):
    y = 1 - x
    x2 = x * x
    y2 = y * y
    w0 = {1 / 120!r} * (y2 * y2 * y)
    w1 = {1 / 120!r} * (1 + y * (5 + y * (10 + y * (10 + y * (5 - 5 * y)))))
    w2 = {1 / 120!r} * (66 + x2 * (-60 + x2 * (30 - 10 * x)))
    w3 = {1 / 120!r} * (66 + y2 * (-60 + y2 * (30 - 10 * y)))
    w4 = {1 / 120!r} * (1 + x * (5 + x * (10 + x * (10 + x * (5 - 5 * x)))))
    w5 = {1 / 120!r} * (x2 * x2 * x)
    return w0, w1, w2, w3, w4, w5


@triton.jit
def spline_slopes(x):
    y = 1 - x
    x2 = x * x
    y2 = y * y
    w0 = {-1 / 24!r} * (y2 * y2)
    w1 = {-1 / 24!r} * (1 + y * (4 + y * (6 + y * (4 - 5 * y))))
    w2 = {1 / 24!r} * (x * (-24 + x2 * (24 - 10 * x)))
    w3 = {-1 / 24!r} * (y * (-24 + y2 * (24 - 10 * y)))
    w4 = {1 / 24!r} * (1 + x * (4 + x * (6 + x * (4 - 5 * x))))
    w5 = {1 / 24!r} * (x2 * x2)
    return w0, w1, w2, w3, w4, w5
"""


def interval(spline: Spline, dtype: str) -> list[str]:
    """Lines that make `first`, `x` in [0, 1) and the weights `w0`..`w5` from `distance`."""
    return [
        f"place = (distance - {spline.r_min!r}) * {spline.per_length!r}",
        f"first = tl.minimum(tl.maximum(place.to(tl.int32), 0), {spline.n_intervals - 1})",
        f"x = place - first.to({dtype})",
        f"{names('w')} = spline_weights(x)",
    ]


def slopes() -> str:
    """Line that makes the derivatives `v0`..`v5` of the weights by `x`."""
    return f"{names('v')} = spline_slopes(x)"


def names(prefix: str) -> str:
    """Names of six values."""
    return ", ".join(f"{prefix}{tap}" for tap in range(TAPS))


def taps(prefix: str) -> str:
    """Sum over the rows `t0`..`t5` of a table."""
    return " + ".join(f"{prefix}{tap} * t{tap}" for tap in range(TAPS))
