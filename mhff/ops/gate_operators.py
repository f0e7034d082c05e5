"""Operators of a non-linear block's gate: arguments, results, derivatives (`operators.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from mhff.ops.registration import Call, Inputs, Operator
from mhff.ops.shapes import GateShape

MAPS = ("maps", "transposed")
"""The linear map after a convolution or a gate, packed, and its transpose."""


def gate(shape: GateShape) -> tuple[Operator, ...]:
    """Gated and mapped flat features from flat mapped messages, a scale of each atom, residuals."""
    arguments = ("mapped", "scale", *shape.residuals, *MAPS)
    differentiable = arguments[: -len(MAPS)]

    def results(x: Inputs) -> torch.Tensor:
        return x.mapped.new_empty(x.scale.shape[0] * shape.dim * shape.channels)

    def adjoint_results(x: Inputs) -> Any:
        return tuple(torch.empty_like(getattr(x, name)) for name in differentiable)

    def backward(
        x: Inputs, needed: frozenset[str], call: Callable[[str], Call], gradient: Any
    ) -> Mapping[str, Any]:
        suffix = "_adjoint" if needed & {*shape.residuals} else "_adjoint_of_messages"
        # without the residuals, the results are fewer
        return dict(zip(differentiable, call(suffix)(gradient, *vars(x).values()), strict=False))

    both = ("gradient", *arguments)
    return (
        Operator("", arguments, 1, results, backward),
        Operator("_adjoint", both, len(differentiable), adjoint_results),
        Operator("_adjoint_of_messages", both, 2, lambda x: adjoint_results(x)[:2]),
    )
