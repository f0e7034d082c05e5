"""Operators of training and of Hessians: gradients of weights, and second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from mhff.errors import MHFFError
from mhff.ops.registration import Call, Inputs, Operator
from mhff.ops.shapes import ContractionShape


def trained_contraction(shape: ContractionShape) -> tuple[Operator, ...]:
    """Contraction of packed features with sets of coefficients, differentiable twice in both.

    The products B(a, c) are linear in the coefficients c. With Phi = <g, B(a, c)> the backward pass
    gives Phi's derivatives by a and c. Cotangents v and u of these make
    Psi = D_v Phi(g, a, c) + Phi(g, a, u), D_v the derivative along v in the features.
    """
    arguments = ("features", "coefficients", "order", "begin")
    n_rows = shape.n_rows  # now, because tensors cannot be read while torch traces

    def products(x: Inputs) -> torch.Tensor:
        return x.features.new_empty(x.features.shape[0], n_rows, shape.channels)

    def backward(
        x: Inputs, needed: frozenset[str], call: Callable[[str], Call], gradient: Any
    ) -> Mapping[str, Any]:
        found = call("_backward")(gradient, *vars(x).values())
        return dict(zip(("features", "coefficients"), found, strict=True))

    def second(
        x: Inputs, needed: frozenset[str], call: Callable[[str], Call], v: Any, u: Any
    ) -> Mapping[str, Any]:
        total: dict[str, torch.Tensor] = {}
        if v is not None:
            found = call("_second")(v, *vars(x).values())
            total.update(zip(("gradient", "features", "coefficients"), found, strict=True))
        if u is not None:
            others = (x.features, u, x.order, x.begin)
            add_to(total, "gradient", call("")(*others))
            add_to(total, "features", call("_backward")(x.gradient, *others)[0])
        return total

    def like(*names: str) -> Callable[[Inputs], Any]:
        return lambda x: tuple(torch.empty_like(getattr(x, name)) for name in names)

    return (
        Operator("", arguments, 1, products, backward),
        Operator(
            "_backward",
            ("gradient", *arguments),
            2,
            like("features", "coefficients"),
            second,
            materialize_gradients=False,
        ),
        Operator(
            "_second",
            ("cotangent", "gradient", *arguments),
            3,
            like("gradient", "features", "coefficients"),
            _refuse_third_derivative,
        ),
    )


def curved_contraction(flat: Sequence[Operator]) -> tuple[Operator, ...]:
    """Contraction of flat features, differentiable twice in these.

    `flat`: its other operators. With Phi = <g, B(a)> the adjoint gives Phi's derivative by a, and a
    cotangent v of this makes Psi = D_v Phi, D_v the derivative along v in the features.
    """
    forward, adjoint, pack = flat

    def second(
        x: Inputs, needed: frozenset[str], call: Callable[[str], Call], cotangent: Any
    ) -> Mapping[str, Any]:
        found = call("_second")(cotangent, *vars(x).values())
        return dict(zip(("gradient", "features"), found, strict=True))

    def like_results(x: Inputs) -> Any:
        return torch.empty_like(x.gradient), torch.empty_like(x.features)

    return (
        forward,
        replace(adjoint, backward=second),
        Operator(
            "_second",
            ("cotangent", *adjoint.arguments),
            2,
            like_results,
            _refuse_third_derivative,
        ),
        pack,
    )


def trained_convolution(weighted: Sequence[Operator]) -> tuple[Operator, ...]:
    """A convolution with weights of each edge whose adjoint has its derivatives in one operator.

    `weighted`: its other operators. The derivatives are those of `operators.weighted_convolution`,
    with half the multiply-adds of the six calls there.
    """
    forward, adjoint = weighted
    linear = ("features", "harmonics", "weights")
    results = ("gradient", *linear)

    def second(
        x: Inputs, needed: frozenset[str], call: Callable[[str], Call], *cotangents: Any
    ) -> Mapping[str, Any]:
        of_features, *of_edges = cotangents
        along = [
            torch.zeros_like(getattr(x, name)) if cotangent is None else cotangent
            for name, cotangent in zip(linear[1:], of_edges, strict=True)
        ]
        inputs = vars(x).values()
        if of_features is None:  # a first layer's features do not depend on positions
            found = call("_second_of_edges")(*along, *inputs)
        else:
            found = call("_second")(of_features, *along, *inputs)
        return dict(zip(results, found, strict=True))

    def like_results(x: Inputs) -> Any:
        return tuple(torch.empty_like(getattr(x, name)) for name in results)

    of_edges = ("along_harmonics", "along_weights", *adjoint.arguments)
    return (
        forward,
        replace(adjoint, backward=second),
        Operator(
            "_second",
            ("along_features", *of_edges),
            len(results),
            like_results,
            _refuse_third_derivative,
        ),
        Operator(
            "_second_of_edges", of_edges, len(results), like_results, _refuse_third_derivative
        ),
    )


def _refuse_third_derivative(
    x: Inputs, needed: frozenset[str], call: Callable[[str], Call], *gradients: Any
) -> Mapping[str, Any]:
    raise MHFFError(
        "kernels have two derivatives, and a third was asked for; set run.kernels to false, or "
        "use form='eager'"
    )


def add_to(totals: dict[str, torch.Tensor], name: str, term: torch.Tensor) -> None:
    """Add a term to one of several gradients."""
    totals[name] = totals[name] + term if name in totals else term
