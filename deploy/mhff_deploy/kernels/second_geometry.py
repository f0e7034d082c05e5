"""Harmonics and distances of edges, differentiable twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mhff.ops.registration import Call

Harmonics = Callable[[torch.Tensor], torch.Tensor]
"""From unit vectors `[E, 3]` to harmonics `[E, B]`."""
EDGES_AT_ONCE = 2048
"""Edges whose derivatives are computed together."""


class SecondGeometry:
    """Harmonics `[E, B]` and distances `[E]` of edge vectors `[E, 3]`.

    The second derivatives are matrices of each edge, made in plain torch when they are first asked
    for. After that a product with them touches only edges that move.
    """

    def __init__(self, forward: Call, adjoint: Call, harmonics: Harmonics) -> None:
        """`forward`, `adjoint`: kernels; `harmonics`: the same function in plain torch."""
        self.forward = forward
        self.adjoint = adjoint
        self.harmonics = harmonics

    def __call__(self, edge_vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Harmonics and distances."""
        found: tuple[torch.Tensor, torch.Tensor] = _Geometry.apply(self, edge_vectors)
        return found

    def derivatives(
        self, vectors: torch.Tensor, d_harmonics: torch.Tensor, d_r: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """First derivatives `[E, B + 1, 3]` of harmonics and distance, and second `[E, 3, 3]`.

        The latter are those of the sum of harmonics and distance with the factors `d_harmonics
        [E, B]` and `d_r [E]`.
        """

        def both(vector: torch.Tensor) -> torch.Tensor:
            r = torch.linalg.vector_norm(vector)
            return torch.cat([self.harmonics((vector / r).unsqueeze(0))[0], r.unsqueeze(0)])

        def weighted(vector: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
            return both(vector) @ factors

        factors = torch.cat([d_harmonics, d_r.unsqueeze(1)], dim=1)
        if not len(vectors):  # vmap needs some
            return vectors.new_empty(0, factors.shape[1], 3), vectors.new_empty(0, 3, 3)
        first = torch.vmap(torch.func.jacfwd(both), chunk_size=EDGES_AT_ONCE)
        second = torch.vmap(torch.func.hessian(weighted), chunk_size=EDGES_AT_ONCE)
        return first(vectors).detach(), second(vectors, factors).detach()


class _Geometry(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, geometry: SecondGeometry, vectors: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.geometry = geometry
        ctx.save_for_backward(vectors)
        return geometry.forward(vectors.contiguous())

    @staticmethod
    def backward(ctx: Any, d_harmonics: torch.Tensor, d_r: torch.Tensor) -> tuple[Any, ...]:
        (vectors,) = ctx.saved_tensors
        return None, _Adjoint.apply(ctx.geometry, d_harmonics, d_r, vectors)


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        geometry: SecondGeometry,
        d_harmonics: torch.Tensor,
        d_r: torch.Tensor,
        vectors: torch.Tensor,
    ) -> torch.Tensor:
        ctx.geometry = geometry
        ctx.derivatives = None
        ctx.save_for_backward(d_harmonics, d_r, vectors)
        return geometry.adjoint(d_harmonics.contiguous(), d_r.contiguous(), vectors.contiguous())

    @staticmethod
    def backward(ctx: Any, moved: torch.Tensor) -> tuple[Any, ...]:
        """`moved [E, 3]`: how the edge vectors move, most of them not at all."""
        d_harmonics, d_r, vectors = ctx.saved_tensors
        if ctx.derivatives is None:
            ctx.derivatives = ctx.geometry.derivatives(vectors, d_harmonics, d_r)
        first, second = ctx.derivatives
        edges = moved.abs().sum(1).nonzero().squeeze(1)
        along = moved.index_select(0, edges).unsqueeze(2)
        of_both = torch.bmm(first.index_select(0, edges), along).squeeze(2)
        of_vectors = torch.bmm(second.index_select(0, edges), along).squeeze(2)
        return (
            None,
            torch.zeros_like(d_harmonics).index_copy_(0, edges, of_both[:, :-1]),
            torch.zeros_like(d_r).index_copy_(0, edges, of_both[:, -1]),
            torch.zeros_like(vectors).index_copy_(0, edges, of_vectors),
        )
