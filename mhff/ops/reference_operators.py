"""Operators in plain torch, in the namespace `mhff`: arguments, results, derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from mhff.ops.registration import Call, Inputs, Operator

Suffix = Callable[[str], Call]
Gradients = Mapping[str, Any]


def _reference_convolution() -> tuple[Operator, ...]:
    """`mhff.ops.convolution`."""
    edges = ("harmonics", "weights", "coupling", "SymInt[] paths_to", "edge_index")
    differentiable = ("features", "harmonics", "weights")

    def results(x: Inputs) -> torch.Tensor:
        return x.features.new_empty(x.n_local, x.coupling.shape[1], x.features.shape[2])

    def adjoint_results(x: Inputs) -> Any:
        return tuple(torch.empty_like(getattr(x, name)) for name in differentiable)

    def backward(x: Inputs, needed: frozenset[str], call: Suffix, gradient: Any) -> Gradients:
        *inputs, _ = vars(x).values()
        found = call("_adjoint")(gradient, *inputs)
        return dict(zip(differentiable, found, strict=True))

    return (
        Operator("", ("features", *edges, "SymInt n_local"), 1, results, backward),
        Operator("_adjoint", ("gradient", "features", *edges), 3, adjoint_results),
    )


def _reference_contraction() -> tuple[Operator, ...]:
    """`mhff.ops.contraction`, which has a gradient with respect to the features only."""
    arguments = ("features", "coefficients", "monomials", "row_sum")

    def results(x: Inputs) -> torch.Tensor:
        n_atoms, _, n_channels = x.features.shape
        return x.features.new_empty(n_atoms, x.row_sum.shape[0], n_channels)

    def backward(x: Inputs, needed: frozenset[str], call: Suffix, gradient: Any) -> Gradients:
        return {"features": call("_adjoint")(gradient, *vars(x).values())}

    return (
        Operator("", arguments, 1, results, backward),
        Operator("_adjoint", ("gradient", *arguments), 1, lambda x: torch.empty_like(x.features)),
    )


def _ghosts() -> tuple[Operator, ...]:
    """`mhff.ops.ghosts`: each is the other's adjoint."""

    def with_ghosts(x: Inputs) -> torch.Tensor:
        n_all = x.features.shape[0] + x.plan.shape[0] - 1
        return x.features.new_empty(n_all, *x.features.shape[1:])

    def without_ghosts(x: Inputs) -> torch.Tensor:
        n_local = x.gradients.shape[0] - x.plan.shape[0] + 1
        return x.gradients.new_empty(n_local, *x.gradients.shape[1:])

    def backward(x: Inputs, needed: frozenset[str], call: Suffix, gradient: Any) -> Gradients:
        return {"features": call("_adjoint")(gradient, x.plan)}

    def second(x: Inputs, needed: frozenset[str], call: Suffix, gradient: Any) -> Gradients:
        return {"gradients": call("")(gradient, x.plan)}

    return (
        Operator("", ("features", "plan"), 1, with_ghosts, backward),
        Operator("_adjoint", ("gradients", "plan"), 1, without_ghosts, second),
    )


REFERENCE = {
    "convolution": _reference_convolution(),
    "symmetric_contraction": _reference_contraction(),
    "exchange_ghosts": _ghosts(),
}
"""By the names of their kernels."""
