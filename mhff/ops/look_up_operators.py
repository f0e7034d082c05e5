"""Operators of splines in training: values from tables of coefficients, and all derivatives.

    values[e, c] = sum_t taps[e, t] table[first[e] + t, c]

is linear in the taps and in the table, so the gradients by both are each other's derivatives, of
any order; those of the taps by the distance are taps again. Values are in the network's precision,
taps and tables in float64. `order` sorts the edges by `first`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from mhff.ops.registration import Backward, Call, Inputs, Operator
from mhff.ops.spline import TAPS

KNOTS = ("float r_min", "float per_length")
"""The first knot, and intervals per A."""
Suffix = Callable[[str], Call]


def look_up(dtype: torch.dtype) -> tuple[Operator, ...]:
    """Operators whose values are in `dtype`."""

    def values(x: Inputs) -> torch.Tensor:
        return x.table.new_empty(x.first.shape[0], x.table.shape[1], dtype=dtype)

    return (
        Operator("", ("first", "order", "taps", "table"), 1, values, _derivatives("gradient")),
        Operator(
            "_by_taps",
            ("gradient", "first", "order", "table"),
            1,
            lambda x: x.table.new_empty(x.first.shape[0], TAPS),
            _derivatives("taps"),
        ),
        Operator(
            "_by_table",
            ("gradient", "first", "order", "taps", "SymInt n_rows"),
            1,
            lambda x: x.taps.new_empty(x.n_rows, x.gradient.shape[1]),
            _derivatives("table"),
        ),
        Operator(
            "_locate",
            ("r", *KNOTS, "int n_intervals"),
            1,
            lambda x: x.r.new_empty(x.r.shape, dtype=torch.int32),
        ),
        Operator(
            "_taps_of",
            ("r", "intervals", *KNOTS, "int order"),
            1,
            lambda x: x.r.new_empty(x.r.shape[0], TAPS, dtype=torch.float64),
            _of_distances,
        ),
    )


def _derivatives(exchanged: str) -> Backward:
    """Derivatives of one of the three operators.

    Phi = sum_e gradient[e] . values[e] is linear in the gradient, the taps and the table, and each
    operator is Phi's derivative by one of them. With a cotangent for that one, its derivatives
    are those of Phi by the others.
    """

    def backward(
        x: Inputs, needed: frozenset[str], call: Suffix, cotangent: Any
    ) -> Mapping[str, torch.Tensor]:
        factors = vars(x) | {exchanged: cotangent}
        edges = (x.first, x.order)
        found = {}
        if "gradient" in needed:
            found["gradient"] = call("")(*edges, factors["taps"], factors["table"])
        if "taps" in needed:
            found["taps"] = call("_by_taps")(factors["gradient"], *edges, factors["table"])
        if "table" in needed:
            n_rows = factors["table"].shape[0]
            found["table"] = call("_by_table")(factors["gradient"], *edges, factors["taps"], n_rows)
        return found

    return backward


def _of_distances(
    x: Inputs, needed: frozenset[str], call: Suffix, gradient: Any
) -> Mapping[str, torch.Tensor]:
    slopes = call("_taps_of")(x.r, x.intervals, x.r_min, x.per_length, x.order + 1)
    return {"r": (gradient * slopes).sum(1).to(x.r.dtype)}
