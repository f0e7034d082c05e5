"""The kernels as torch operators: what their results look like, how to differentiate them, how they
are started.

They are made with `torch.library.triton_op`, so torch.export keeps them as one node, and
AOTInductor looks inside and puts the compiled kernels into its package. Grids have one program too
many, which does nothing: a grid must not be empty.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.library import triton_op, wrap_triton

from mhff.ops.cpu.parts import Contraction, Convolution, Geometry
from mhff.ops.flat import split_degrees
from mhff.ops.gpu.contraction_code import ContractionCode
from mhff.ops.gpu.convolution_code import ConvolutionCode
from mhff.ops.gpu.geometry_code import EDGES_AT_ONCE, GeometryCode
from mhff.ops.gpu.module import REGISTERS, load
from mhff.ops.gpu.spline import Spline


def sort_edges(atoms: torch.Tensor, n_atoms: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges in the order of an end's atoms, `[E]`, and where each atom's begin, `[n_atoms + 1]`;
    int32.

    A stable sort and a search in its result: the same result every time, and no size that depends
    on values.
    """
    in_order, order = torch.sort(atoms.to(torch.int32), stable=True)
    every = torch.arange(n_atoms + 1, dtype=torch.int32, device=atoms.device)
    return order.to(torch.int32), torch.searchsorted(in_order, every, out_int32=True)


def make_geometry(part: Geometry, dtype: torch.dtype, folder: Path) -> Any:
    """Operator (edge vectors) -> (harmonics, distances); `folder` keeps the code."""
    code = GeometryCode(part, dtype)
    module = load(code.code(), folder)
    name = f"{module.__name__}::geometry"
    if name in _MADE:
        return _MADE[name]
    forward_kernel, adjoint_kernel = module.forward, module.adjoint

    @triton_op(name, mutates_args=())
    def forward(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        n = vectors.shape[0]
        harmonics, r = vectors.new_empty(n, code.n_harmonics), vectors.new_empty(n)
        wrap_triton(forward_kernel)[(n // EDGES_AT_ONCE + 1,)](
            vectors, harmonics, r, n, num_warps=4
        )
        return harmonics, r

    @triton_op(f"{name}_adjoint", mutates_args=())
    def adjoint(
        d_harmonics: torch.Tensor, d_r: torch.Tensor, vectors: torch.Tensor
    ) -> torch.Tensor:
        n, d_vectors = vectors.shape[0], torch.empty_like(vectors)
        wrap_triton(adjoint_kernel)[(n // EDGES_AT_ONCE + 1,)](
            d_harmonics, d_r, vectors, d_vectors, n, num_warps=4
        )
        return d_vectors

    def backward(ctx: Any, d_harmonics: torch.Tensor, d_r: torch.Tensor) -> torch.Tensor:
        return adjoint(d_harmonics.contiguous(), d_r.contiguous(), *ctx.saved_tensors)

    forward.register_fake(
        lambda vectors: (
            vectors.new_empty(vectors.shape[0], code.n_harmonics),
            vectors.new_empty(vectors.shape[0]),
        )
    )
    adjoint.register_fake(lambda d_harmonics, d_r, vectors: torch.empty_like(vectors))
    forward.register_autograd(backward, setup_context=_save)
    return _MADE.setdefault(name, forward)


def make_convolution(
    part: Convolution, spline: Spline, dtype: torch.dtype, folder: Path, registers: int = REGISTERS
) -> Any:
    """Operator (features, harmonics, edge_index, order, begin, r, species, table_of, tables) ->
    flat messages.

    `tables [n_tables, n_intervals + 5, paths * channels]`; `folder` keeps the code.
    """
    code = ConvolutionCode(part, spline, dtype, registers)
    module = load(code.code(), folder)
    name = f"{module.__name__}::convolution"
    if name in _MADE:
        return _MADE[name]
    forward_kernel, adjoint_kernel, shorter_kernel = (
        module.forward,
        module.adjoint,
        module.adjoint_without_features,
    )
    n_groups, n_parts = len(code.groups), len(code.groups) * code.n_tiles

    @triton_op(name, mutates_args=())
    def forward(
        features: torch.Tensor,
        harmonics: torch.Tensor,
        edge_index: torch.Tensor,
        order: torch.Tensor,
        begin: torch.Tensor,
        r: torch.Tensor,
        species: torch.Tensor,
        table_of: torch.Tensor,
        tables: torch.Tensor,
    ) -> torch.Tensor:
        n_local, n_all, n_edges = begin.shape[0] - 1, features.shape[0], edge_index.shape[1]
        messages = features.new_empty(n_local * code.n_rows * code.channels)
        sizes = (n_local, n_all, n_edges, table_of.shape[0])
        wrap_triton(forward_kernel)[(n_local + 1, code.n_tiles, n_groups)](
            features,
            harmonics,
            edge_index,
            order,
            begin,
            r,
            species,
            table_of,
            tables,
            messages,
            *sizes,
            num_warps=1,
        )
        return messages

    @triton_op(f"{name}_adjoint", mutates_args=())
    def adjoint(
        gradient: torch.Tensor,
        features: torch.Tensor,
        harmonics: torch.Tensor,
        edge_index: torch.Tensor,
        order: torch.Tensor,
        begin: torch.Tensor,
        r: torch.Tensor,
        species: torch.Tensor,
        table_of: torch.Tensor,
        tables: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        n_local, n_all, n_edges = begin.shape[0] - 1, features.shape[0], edge_index.shape[1]
        sent, sent_begin = sort_edges(edge_index[0], n_all)
        d_features = features.new_empty(n_groups, *features.shape)
        d_harmonics, d_r = (
            harmonics.new_empty(code.n_tiles, *harmonics.shape),
            r.new_empty(n_parts, n_edges),
        )
        sizes = (n_local, n_all, n_edges, table_of.shape[0])
        wrap_triton(adjoint_kernel)[(n_all + 1, code.n_tiles, n_groups)](
            gradient, features, harmonics, edge_index, sent, sent_begin, r, species, table_of, tables,
            d_features, d_harmonics, d_r, *sizes, num_warps=1,
        )  # fmt: skip
        return d_features.sum(0), d_harmonics.sum(0), d_r.sum(0)

    @triton_op(f"{name}_adjoint_without_features", mutates_args=())
    def adjoint_without_features(
        gradient: torch.Tensor,
        features: torch.Tensor,
        harmonics: torch.Tensor,
        edge_index: torch.Tensor,
        order: torch.Tensor,
        begin: torch.Tensor,
        r: torch.Tensor,
        species: torch.Tensor,
        table_of: torch.Tensor,
        tables: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n_local, n_all, n_edges = begin.shape[0] - 1, features.shape[0], edge_index.shape[1]
        d_harmonics, d_r = (
            harmonics.new_empty(code.n_tiles, *harmonics.shape),
            r.new_empty(n_parts, n_edges),
        )
        sizes = (n_local, n_all, n_edges, table_of.shape[0])
        wrap_triton(shorter_kernel)[(n_local + 1, code.n_tiles, n_groups)](
            gradient, features, harmonics, edge_index, order, begin, r, species, table_of, tables,
            d_harmonics, d_r, *sizes, num_warps=1,
        )  # fmt: skip
        return d_harmonics.sum(0), d_r.sum(0)

    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        inputs, d_features = ctx.saved_tensors, None
        if ctx.needs_input_grad[0]:
            d_features, d_harmonics, d_r = adjoint(gradient.contiguous(), *inputs)
        else:
            d_harmonics, d_r = adjoint_without_features(gradient.contiguous(), *inputs)
        return d_features, d_harmonics, None, None, None, d_r, None, None, None

    def fake(features, harmonics, edge_index, order, begin, *radial):  # type: ignore[no-untyped-def]
        return features.new_empty((begin.shape[0] - 1) * code.n_rows * code.channels)

    def fake_adjoint(gradient, features, harmonics, edge_index, order, begin, r, *table):  # type: ignore[no-untyped-def]
        return torch.empty_like(features), torch.empty_like(harmonics), torch.empty_like(r)

    forward.register_fake(fake)
    adjoint.register_fake(fake_adjoint)
    adjoint_without_features.register_fake(lambda *inputs: fake_adjoint(*inputs)[1:])
    forward.register_autograd(backward, setup_context=_save)
    return _MADE.setdefault(name, forward)


def make_contraction(
    part: Contraction, coefficients: torch.Tensor, dtype: torch.dtype, folder: Path
) -> tuple[Any, torch.Tensor]:
    """Operator (features of each degree, packed coefficients, species) -> flat products, and the
    packed coefficients.

    Coefficients `[n_sets, Q, channels]`, with several sets where they depend on the element;
    `folder` keeps the code.
    """
    code = ContractionCode(part, coefficients.shape[0] > 1, dtype)
    packed = code.pack(coefficients.to(dtype))
    module = load(code.code(), folder)
    name = f"{module.__name__}::contraction"
    if name in _MADE:
        return _MADE[name], packed
    forward_kernel, adjoint_kernel = module.forward, module.adjoint

    @triton_op(name, mutates_args=())
    def forward(
        features: list[torch.Tensor], coefficients: torch.Tensor, species: torch.Tensor
    ) -> torch.Tensor:
        n = features[0].shape[0]
        products = coefficients.new_empty(n * code.n_rows * code.channels)
        wrap_triton(forward_kernel)[(n + 1, code.n_tiles)](
            *features, coefficients, species, products, n, num_warps=1
        )
        return products

    @triton_op(f"{name}_adjoint", mutates_args=())
    def adjoint(
        gradient: torch.Tensor,
        features: list[torch.Tensor],
        coefficients: torch.Tensor,
        species: torch.Tensor,
    ) -> torch.Tensor:
        n = features[0].shape[0]
        d_features = coefficients.new_empty(n * code.dim * code.channels)
        wrap_triton(adjoint_kernel)[(n + 1, code.n_tiles)](
            gradient, *features, coefficients, species, d_features, n, num_warps=1
        )
        return d_features

    def save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        features, coefficients, species = inputs
        ctx.save_for_backward(*features, coefficients, species)

    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[list[torch.Tensor], None, None]:
        *features, coefficients, species = ctx.saved_tensors
        flat = adjoint(gradient.contiguous(), features, coefficients, species)
        return (
            split_degrees(flat, features[0].shape[0], [code.channels] * code.n_degrees),
            None,
            None,
        )

    def fake(features, coefficients, species):  # type: ignore[no-untyped-def]
        return coefficients.new_empty(features[0].shape[0] * code.n_rows * code.channels)

    def fake_adjoint(gradient, features, coefficients, species):  # type: ignore[no-untyped-def]
        return coefficients.new_empty(features[0].shape[0] * code.dim * code.channels)

    forward.register_fake(fake)
    adjoint.register_fake(fake_adjoint)
    forward.register_autograd(backward, setup_context=save)
    return _MADE.setdefault(name, forward), packed


def _save(ctx: Any, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs)


_MADE: dict[str, Any] = {}
"""Operators by name: torch takes each definition once."""
