"""Functions of the distance up to their second derivatives.

Value, slope and curvature at given distances are all that second derivatives of the energy need.
They are evaluated once, and autograd takes them from there however often it passes. (They come from
nested forward derivatives, which torch has wrong for layer norms; no function here has one.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from mhff.model.radial import ZBLRepulsion
from mhff_deploy.radial.inputs import TableInputs
from mhff_deploy.radial.networks import RadialValues, TabulatedRadial

OfDistance = Callable[[torch.Tensor], torch.Tensor]
"""From distances `[E]` to values `[E, width]`, each row of its own distance only."""


class Derivatives(NamedTuple):
    """Derivatives of a function at the distances of E edges, each `[E, width]`."""

    value: torch.Tensor
    slope: torch.Tensor
    curvature: torch.Tensor


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, r: torch.Tensor, derivatives: Derivatives) -> torch.Tensor:
        ctx.save_for_backward(r)
        ctx.derivatives = derivatives
        return derivatives.value

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (r,) = ctx.saved_tensors
        return _Slope.apply(gradient, r, ctx.derivatives), None


class _Slope(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gradient: torch.Tensor, r: torch.Tensor, derivatives: Derivatives
    ) -> torch.Tensor:
        ctx.slope = derivatives.slope
        ctx.curvature = (gradient * derivatives.curvature).sum(1)
        return (gradient * derivatives.slope).sum(1)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return cotangent.unsqueeze(1) * ctx.slope, cotangent * ctx.curvature, None


def derivatives_at(function: OfDistance, r: torch.Tensor) -> Derivatives:
    """Value, slope and curvature of a function at distances `[E]`."""
    one = torch.ones_like(r)

    def slope(x: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(function, (x,), (one,))[1]

    first, second = torch.func.jvp(slope, (r,), (one,))[:2]
    return Derivatives(function(r).detach(), first.detach(), second.detach())


def second_order(function: OfDistance, r: torch.Tensor) -> torch.Tensor:
    """Values of a function at distances `[E]`, differentiable twice."""
    value: torch.Tensor = _Value.apply(r, derivatives_at(function, r.detach()))
    return value


class SecondOrderRadial(TabulatedRadial):
    """`TabulatedRadial` with densities to second order."""

    def forward(
        self, r: torch.Tensor, ends: torch.Tensor, given: TableInputs | None = None
    ) -> RadialValues:
        """See `TabulatedRadial.forward`; reads the module's own tables, in float64."""
        if not self.has_densities:
            return RadialValues(r, (), None)
        densities = second_order(lambda x: self._densities(x, ends), r)
        return RadialValues(r, (), densities)


class SecondOrderRepulsion(ZBLRepulsion):
    """`ZBLRepulsion` to second order."""

    def forward(
        self, r: torch.Tensor, sender: torch.Tensor, receiver: torch.Tensor
    ) -> torch.Tensor:
        """See `ZBLRepulsion.forward`."""
        exact = super().forward
        return second_order(lambda x: exact(x, sender, receiver).unsqueeze(1), r).squeeze(1)
