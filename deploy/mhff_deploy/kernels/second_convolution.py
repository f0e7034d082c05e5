"""Convolution with radial weights from tables, differentiable twice.

With Phi = <G, F(h, Y, r)> for the mapped messages F, the first backward pass gives the derivatives
of Phi by features h, harmonics Y and distances r. Cotangents a, b, c of these make

    Psi = Phi(G, a, Y, r) + Phi(G, h, b, r) + sum_e c_e dPhi/dr_e,

whose gradient is the second pass. b and c are zero but for the edges of the atoms that are
displaced. So the first term, over all edges, takes the kernels of programs, and the others, over
few, take kernels of training, with the weights of each edge looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from mhff.ops.flat import join_flat, split_flat
from mhff.ops.registration import Call
from mhff.ops.spline import Spline
from mhff_deploy.lowering.linear import Maps
from mhff_deploy.lowering.reference import KernelEdges
from mhff_deploy.radial.inputs import choose_table

N_DERIVATIVES = 3
"""Value, slope and curvature of radial functions."""


@dataclass(frozen=True)
class TableArguments:
    """What kernels of programs take beside features and edges."""

    table_of: torch.Tensor
    packed: torch.Tensor
    packed_maps: tuple[torch.Tensor, torch.Tensor]
    spline: Spline

    def arguments(self, r: torch.Tensor, species: torch.Tensor) -> tuple[Any, ...]:
        """In the order of `mhff.ops.operators.tabulated_convolution`."""
        knots = (self.spline.r_min, self.spline.r_max)
        return (r, species, self.table_of, self.packed, *self.packed_maps, *knots)


class Features(NamedTuple):
    """What a convolution is differentiated by."""

    features: torch.Tensor
    """`[n_all, D, channels]`."""
    harmonics: torch.Tensor
    """`[E, B]`."""
    r: torch.Tensor
    """`[E]`."""


class SecondConvolution:
    """Mapped messages of one layer."""

    def __init__(
        self,
        name: str,
        programs: Mapping[str, Call],
        second: Mapping[str, Call],
        arguments: TableArguments,
        table: torch.Tensor,
        maps: Maps,
    ) -> None:
        """`programs`, `second`: operators of both libraries, `name` among them.

        `table [n_tables, rows, paths * channels]`: the coefficients that `arguments` hold packed.
        """
        self.name = name
        self.programs = programs
        self.second = second
        self.arguments = arguments
        self.table = table.flatten(0, 1).contiguous()
        self.maps = maps

    def __call__(self, features: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """Flat mapped messages."""
        messages: torch.Tensor = _Messages.apply(self, edges, features, edges.harmonics, edges.r)
        return messages

    def program(self, suffix: str, x: Features, edges: KernelEdges, *gradient: torch.Tensor) -> Any:
        """A program's kernel, over all edges."""
        of_edges = (x.harmonics.contiguous(), edges.edge_index.contiguous())
        table = self.arguments.arguments(x.r.contiguous(), edges.species.contiguous())
        with torch._C._AutoDispatchBelowAutograd():
            return self.programs[self.name + suffix](
                *gradient, x.features.contiguous(), *of_edges, edges.order, edges.begin, *table
            )

    def unmapped(self, gradient: torch.Tensor, n: int) -> torch.Tensor:
        """Gradient of the messages before the linear map."""
        matrices = self.maps.tensors()
        degrees = split_flat(gradient, n, [matrix.shape[1] for matrix in matrices])
        return join_flat([x @ matrix.T for x, matrix in zip(degrees, matrices, strict=True)])

    def radial(
        self, r: torch.Tensor, edge_index: torch.Tensor, species: torch.Tensor
    ) -> list[torch.Tensor]:
        """Weights of edges `[E, paths * channels]`, their slopes and their curvatures."""
        spline = self.arguments.spline
        knots = (spline.r_min, spline.per_length)
        ends = species.index_select(0, edge_index.flatten()).unflatten(0, (2, -1))
        intervals = self.second["look_up_locate"](r, *knots, spline.n_intervals)
        which = choose_table(self.arguments.table_of, ends)
        first = which * spline.n_rows + intervals
        order, _ = self.second["sort_edges"](first, len(self.table))
        first = first.to(torch.int32)
        values = []
        for derivative in range(N_DERIVATIVES):
            taps = self.second["look_up_taps_of"](r, intervals, *knots, derivative)
            values.append(self.second["look_up"](first, order, taps, self.table))
        return values

    def of_moved(
        self,
        messages: torch.Tensor,
        x: Features,
        along: tuple[torch.Tensor, torch.Tensor],
        edges: KernelEdges,
    ) -> tuple[torch.Tensor, Features, torch.Tensor]:
        """Gradients of the last two terms of Psi, and the edges `[m]` that have some.

        `messages`: the gradient before the map. Returns the gradient's, those of `x` (of the m
        edges), and the edges.
        """
        along_harmonics, along_r = along
        # the harmonics of l = 1 are the direction: an edge that moves changes it, or its length
        moved = (along_harmonics[:, 1:4].abs().sum(1) + along_r.abs()).nonzero().squeeze(1)
        edge_index = edges.edge_index.index_select(1, moved)
        harmonics, r, b, c = (
            tensor.index_select(0, moved) for tensor in (x.harmonics, x.r, along_harmonics, along_r)
        )
        with torch._C._AutoDispatchBelowAutograd():
            order, begin = self.second["sort_edges"](edge_index[1].contiguous(), edges.n_local)
            weights, slopes, curvatures = self.radial(r, edge_index, edges.species)
            inputs = (messages, x.features, harmonics, edge_index, order, begin, weights)
            *_, d_weights = self.second[f"{self.name}_adjoint"](*inputs)
            d_messages, d_features, d_harmonics, of_weights = self.second[
                f"{self.name}_second_of_edges"
            ](b, c.unsqueeze(1) * slopes, *inputs)
        d_r = (of_weights.view_as(slopes) * slopes).sum(1)
        d_r += c * (d_weights.view_as(slopes) * curvatures).sum(1)
        found = Features(d_features, d_harmonics, d_r)
        return self.maps.flat(d_messages, edges.n_local), found, moved


class _Messages(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layer: SecondConvolution, edges: KernelEdges, *inputs: torch.Tensor
    ) -> torch.Tensor:
        ctx.layer = layer
        ctx.edges = edges
        ctx.save_for_backward(*inputs)
        return layer.program("", Features(*inputs), edges)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        of_features = ctx.needs_input_grad[2]  # not in a first layer
        found = _Adjoint.apply(ctx.layer, ctx.edges, of_features, gradient, *ctx.saved_tensors)
        return None, None, *found


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layer: SecondConvolution,
        edges: KernelEdges,
        of_features: bool,
        gradient: torch.Tensor,
        *inputs: torch.Tensor,
    ) -> tuple[torch.Tensor | None, ...]:
        gradient = gradient.contiguous()
        ctx.layer = layer
        ctx.edges = edges
        ctx.messages = None
        ctx.save_for_backward(gradient, *inputs)
        ctx.set_materialize_grads(False)
        x = Features(*inputs)
        if of_features:
            return layer.program("_adjoint", x, edges, gradient)
        return None, *layer.program("_adjoint_of_edges", x, edges, gradient)

    @staticmethod
    def backward(
        ctx: Any, along_features: torch.Tensor | None, *along: torch.Tensor
    ) -> tuple[Any, ...]:
        gradient, *inputs = ctx.saved_tensors
        layer, edges, x = ctx.layer, ctx.edges, Features(*inputs)
        if ctx.messages is None:
            ctx.messages = layer.unmapped(gradient, edges.n_local)
        d_gradient, found, moved = layer.of_moved(ctx.messages, x, along, edges)
        if along_features is None:
            d_harmonics, d_r = torch.zeros_like(x.harmonics), torch.zeros_like(x.r)
        else:
            other = x._replace(features=along_features)
            d_gradient = d_gradient + layer.program("", other, edges)
            d_harmonics, d_r = layer.program("_adjoint_of_edges", other, edges, gradient)
        d_harmonics.index_add_(0, moved, found.harmonics)
        d_r.index_add_(0, moved, found.r)
        return None, None, None, d_gradient, found.features, d_harmonics, d_r
