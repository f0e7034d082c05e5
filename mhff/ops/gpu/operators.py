"""Triton kernels as torch operators: how they are started, with what results.

They are made with `torch.library.triton_op`: torch.export keeps each as one node, and AOTInductor
looks inside and puts the compiled kernels into its package. Schemas, shapes and derivatives are
those of `mhff.ops.operators`. Each grid has one extra program that does nothing, because a grid
must not be empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.library import triton_op, wrap_triton

from mhff.ops import operators as table
from mhff.ops.gpu.contraction_code import ContractionCode
from mhff.ops.gpu.convolution_code import convolution_code
from mhff.ops.gpu.edge_loop import EdgeLoop
from mhff.ops.gpu.geometry_code import EDGES_AT_ONCE, GeometryCode
from mhff.ops.gpu.module import REGISTERS, load
from mhff.ops.registration import Call, Inputs, Operator, describe, find, once
from mhff.ops.shapes import ContractionShape, ConvolutionShape, GeometryShape
from mhff.ops.spline import Spline


def sort_edges(atoms: torch.Tensor, n_atoms: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges ordered by atom, `[E]`, and where each atom's edges begin, `[n_atoms + 1]`; int32.

    A stable sort and a search in its result: the same result every time, and no size that depends
    on values.
    """
    in_order, order = torch.sort(atoms.to(torch.int32), stable=True)
    every = torch.arange(n_atoms + 1, dtype=torch.int32, device=atoms.device)
    return order.to(torch.int32), torch.searchsorted(in_order, every, out_int32=True)


def make_geometry(shape: GeometryShape, dtype: torch.dtype, folder: Path) -> Call:
    """Operator (edge vectors) -> (harmonics, distances); `folder` keeps the code."""
    code = GeometryCode(shape, dtype)
    module = load(code.code(), folder)
    forward_kernel = module.forward
    adjoint_kernel = module.adjoint

    def forward(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        n = vectors.shape[0]
        harmonics = vectors.new_empty(n, code.n_harmonics)
        r = vectors.new_empty(n)
        wrap_triton(forward_kernel)[(n // EDGES_AT_ONCE + 1,)](
            vectors, harmonics, r, n, num_warps=4
        )
        return harmonics, r

    def adjoint(
        d_harmonics: torch.Tensor, d_r: torch.Tensor, vectors: torch.Tensor
    ) -> torch.Tensor:
        n = vectors.shape[0]
        d_vectors = torch.empty_like(vectors)
        wrap_triton(adjoint_kernel)[(n // EDGES_AT_ONCE + 1,)](
            d_harmonics, d_r, vectors, d_vectors, n, num_warps=4
        )
        return d_vectors

    launchers: dict[str, Call] = {"": forward, "_adjoint": adjoint}
    return _define(module, "geometry", table.geometry(shape), launchers)


def make_convolution(
    shape: ConvolutionShape,
    spline: Spline,
    dtype: torch.dtype,
    folder: Path,
    registers: int = REGISTERS,
) -> Call:
    """Operator (features, `operators.EDGES`, `operators.TABLE`) -> flat messages.

    `tables [n_tables, n_intervals + 5, paths * channels]`; `folder` keeps the loop.
    """
    loop = EdgeLoop(shape, spline, dtype, registers)
    operators = table.tabulated_convolution(shape, table.TABLE)
    module = load(convolution_code(loop), folder)
    forward_kernel = module.forward
    adjoint_kernel = module.adjoint
    edge_kernel = module.adjoint_of_edges
    n_groups = len(loop.groups)

    def sizes(x: Inputs) -> tuple[Any, ...]:
        n_local = x.begin.shape[0] - 1
        return n_local, x.features.shape[0], x.edge_index.shape[1], x.table_of.shape[0]

    def d_edges(x: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of harmonics of each tile, and of distances of each tile and group."""
        d_harmonics = x.harmonics.new_empty(loop.n_tiles, *x.harmonics.shape)
        return d_harmonics, x.r.new_empty(n_groups * loop.n_tiles, x.edge_index.shape[1])

    def forward(*inputs: torch.Tensor) -> torch.Tensor:
        x = operators[0].inputs(inputs)
        n_local, *others = sizes(x)
        messages = x.features.new_empty(n_local * shape.layout.n_rows * shape.channels)
        wrap_triton(forward_kernel)[(n_local + 1, loop.n_tiles, n_groups)](
            *inputs, messages, n_local, *others, num_warps=1
        )
        return messages

    def adjoint(*inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = operators[1].inputs(inputs)
        n_local, n_all, *others = sizes(x)
        x.order, x.begin = sort_edges(x.edge_index[0], n_all)  # along senders
        d_features = x.features.new_empty(n_groups, *x.features.shape)
        d_harmonics, d_r = d_edges(x)
        wrap_triton(adjoint_kernel)[(n_all + 1, loop.n_tiles, n_groups)](
            *vars(x).values(), d_features, d_harmonics, d_r, n_local, n_all, *others, num_warps=1
        )
        return d_features.sum(0), d_harmonics.sum(0), d_r.sum(0)

    def adjoint_of_edges(*inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = operators[2].inputs(inputs)
        n_local, *others = sizes(x)
        d_harmonics, d_r = d_edges(x)
        wrap_triton(edge_kernel)[(n_local + 1, loop.n_tiles, n_groups)](
            *inputs, d_harmonics, d_r, n_local, *others, num_warps=1
        )
        return d_harmonics.sum(0), d_r.sum(0)

    launchers = {"": forward, "_adjoint": adjoint, "_adjoint_of_edges": adjoint_of_edges}
    return _define(module, "convolution", operators, launchers)


def make_contraction(
    shape: ContractionShape, coefficients: torch.Tensor, dtype: torch.dtype, folder: Path
) -> tuple[Call, torch.Tensor]:
    """Operator (features of each degree, packed coefficients, species) -> flat products.

    Also returns the packed coefficients. `coefficients [n_sets, Q, channels]`, several sets where
    they depend on the element; `folder` keeps the code.
    """
    code = ContractionCode(shape, coefficients.shape[0] > 1, dtype)
    n_rows = shape.n_rows  # now, because tensors cannot be read while torch traces
    packed = code.pack(coefficients.to(dtype))
    module = load(code.code(), folder)
    forward_kernel = module.forward
    adjoint_kernel = module.adjoint

    def forward(
        features: list[torch.Tensor], coefficients: torch.Tensor, species: torch.Tensor
    ) -> torch.Tensor:
        n = features[0].shape[0]
        products = coefficients.new_empty(n * n_rows * shape.channels)
        wrap_triton(forward_kernel)[(n + 1, code.n_tiles)](
            *features, coefficients, species, products, n, num_warps=1
        )
        return products

    def adjoint(
        gradient: torch.Tensor,
        features: list[torch.Tensor],
        coefficients: torch.Tensor,
        species: torch.Tensor,
    ) -> torch.Tensor:
        n = features[0].shape[0]
        d_features = coefficients.new_empty(n * shape.dim * shape.channels)
        wrap_triton(adjoint_kernel)[(n + 1, code.n_tiles)](
            gradient, *features, coefficients, species, d_features, n, num_warps=1
        )
        return d_features

    operators = table.contraction(shape, by_degree=True)
    launchers: dict[str, Call] = {"": forward, "_adjoint": adjoint}
    return _define(module, "contraction", operators, launchers), packed


def _define(
    module: ModuleType, kernel: str, operators: Sequence[Operator], launchers: Mapping[str, Call]
) -> Call:
    """The operator of a kernel, defined unless this process has."""
    namespace = module.__name__

    def make() -> Call:
        launched = [operator for operator in operators if operator.suffix in launchers]
        for operator in launched:
            launcher: Any = launchers[operator.suffix]
            launcher.__signature__ = operator.signature  # torch infers the schema from it
            triton_op(f"{namespace}::{kernel}{operator.suffix}", launcher, mutates_args=())
        describe(namespace, kernel, launched)
        return find(namespace, kernel)

    return once(f"{namespace}::{kernel}", make)
