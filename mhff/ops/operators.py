"""The table of operators: schema, results and derivatives of every kernel.

The C++ generator (`cpu.code`) takes registrations and signatures from it, Triton's operators
(`gpu.operators`) take their argument lists, and torch's shapes and derivatives follow for both. So
a new tensor of a kernel takes one more name here, and the code that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from mhff.ops.flat import split_flat
from mhff.ops.gate_operators import MAPS, gate
from mhff.ops.look_up_operators import look_up
from mhff.ops.registration import Call, Inputs, Operator
from mhff.ops.shapes import (
    ContractionShape,
    ConvolutionShape,
    GateShape,
    GeometryShape,
    LookUpShape,
    Shape,
)
from mhff.ops.training_operators import (
    add_to,
    curved_contraction,
    trained_contraction,
    trained_convolution,
)

EDGES = ("harmonics", "edge_index", "order", "begin")
"""Edges and, for each receiver, which of them it has (`sort_edges`)."""
TABLE = ("r", "species", "table_of", "tables")
"""Radial weights in a table (`mhff.ops.spline`), and which table a pair of elements takes."""
SPLINE = ("float r_min", "float r_max")
"""First and last knot, if the spline is not compiled in; the rest follows from a table's rows."""

PAIRS = ("atoms", "shifts", "senders", "begin", "float r_max")
"""Points, the pairs of a list among them, and a radius (`mhff.ops.lists`)."""
RESULTS = ("edge_gradients", "edge_index", "node_energies", "head_weights")
"""What an evaluation gives, its edges, and the weights of its heads."""

Suffix = Callable[[str], Call]
Gradients = Mapping[str, Any]


def operators_of(shape: Shape) -> tuple[Operator, ...]:
    """Operators of a shape in C++."""
    if isinstance(shape, GeometryShape):
        return geometry(shape)
    if isinstance(shape, LookUpShape):
        return look_up(shape.dtype)
    if isinstance(shape, GateShape):
        return gate(shape)
    if isinstance(shape, ContractionShape):
        if shape.trained:
            return trained_contraction(shape)
        return curved_contraction(contraction(shape)) if shape.curved else contraction(shape)
    if not shape.per_edge:
        return tabulated_convolution(shape)
    operators = weighted_convolution(shape)
    return trained_convolution(operators) if shape.trained else operators


def geometry(shape: GeometryShape) -> tuple[Operator, ...]:
    """Harmonics and distances of edge vectors."""

    def results(x: Inputs) -> Any:
        n_edges = x.vectors.shape[0]
        return x.vectors.new_empty(n_edges, shape.n_harmonics), x.vectors.new_empty(n_edges)

    def backward(x: Inputs, needed: frozenset[str], call: Suffix, *gradients: Any) -> Gradients:
        return {"vectors": call("_adjoint")(*gradients, x.vectors)}

    return (
        Operator("", ("vectors",), 2, results, backward),
        Operator(
            "_adjoint", ("d_harmonics", "d_r", "vectors"), 1, lambda x: torch.empty_like(x.vectors)
        ),
    )


def tabulated_convolution(
    shape: ConvolutionShape, radial: tuple[str, ...] = (*TABLE, *MAPS, *SPLINE)
) -> tuple[Operator, ...]:
    """Convolution with radial weights from a table, once differentiable.

    `radial` are the arguments beside features and edges: without `MAPS` and `SPLINE` where the
    kernel has the spline compiled in and leaves the linear map to others.
    """
    arguments = ("features", *EDGES, *radial)
    widths = shape.mapped if set(MAPS) <= set(radial) else shape.message_widths

    def adjoint_results(x: Inputs) -> Any:
        return torch.empty_like(x.features), torch.empty_like(x.harmonics), torch.empty_like(x.r)

    def backward(x: Inputs, needed: frozenset[str], call: Suffix, gradient: Any) -> Gradients:
        inputs = vars(x).values()
        if "features" in needed:
            found = call("_adjoint")(gradient, *inputs)
            return dict(zip(("features", "harmonics", "r"), found, strict=True))
        found = call("_adjoint_of_edges")(gradient, *inputs)
        return dict(zip(("harmonics", "r"), found, strict=True))

    both = ("gradient", *arguments)
    every = (
        Operator("", arguments, 1, _messages(widths), backward),
        Operator("_adjoint", both, 3, adjoint_results),
        Operator("_adjoint_of_edges", both, 2, lambda x: adjoint_results(x)[1:]),
        Operator("_pack", ("tables",), 1, None),
    )
    return tuple(each for each in every if each.suffix in ("", *shape.adjoints, "_pack"))


def weighted_convolution(shape: ConvolutionShape) -> tuple[Operator, ...]:
    """Convolution with weights of each edge, differentiable twice.

    The convolution F(h, Y, w) is linear in each argument, so all its derivatives are itself and its
    adjoint. With Phi = <g, F(h, Y, w)> the adjoint gives the derivatives of Phi by h, Y and w.
    Cotangents a, b, c of these make Psi = Phi(g, a, Y, w) + Phi(g, h, b, w) + Phi(g, h, Y, c):
    three times the same with one argument exchanged.
    """
    arguments = ("features", *EDGES, "weights")
    linear = ("features", "harmonics", "weights")

    def adjoint_results(x: Inputs) -> Any:
        return tuple(torch.empty_like(getattr(x, name)) for name in linear)

    def backward(x: Inputs, needed: frozenset[str], call: Suffix, gradient: Any) -> Gradients:
        found = call("_adjoint")(gradient, *vars(x).values())
        return dict(zip(linear, found, strict=True))

    def second(x: Inputs, needed: frozenset[str], call: Suffix, *cotangents: Any) -> Gradients:
        inputs = vars(x)
        total: dict[str, torch.Tensor] = {}
        for exchanged, cotangent in zip(linear, cotangents, strict=True):
            if cotangent is None:  # a first layer's features do not depend on positions
                continue
            gradient, *others = (inputs | {exchanged: cotangent}).values()
            add_to(total, "gradient", call("")(*others))
            found = zip(linear, call("_adjoint")(gradient, *others), strict=True)
            for name, derivative in found:
                if name != exchanged:
                    add_to(total, name, derivative)
        return total

    return (
        Operator("", arguments, 1, _messages(shape.message_widths), backward),
        Operator(
            "_adjoint",
            ("gradient", *arguments),
            3,
            adjoint_results,
            second,
            materialize_gradients=False,
        ),
    )


def contraction(shape: ContractionShape, by_degree: bool = False) -> tuple[Operator, ...]:
    """Symmetric contraction of flat features, or with `by_degree` of a list of blocks."""
    n_degrees = int(shape.dim**0.5 + 0.5)
    n_rows = shape.n_rows  # now, because tensors cannot be read while torch traces
    atoms = (f"Tensor{'[]' if by_degree else ''} features", "coefficients", "species")

    def n_atoms(x: Inputs) -> Any:
        if by_degree:
            return x.features[0].shape[0]
        return x.features.shape[0] // (shape.dim * shape.channels)

    def flat(x: Inputs, n_components: int) -> torch.Tensor:
        return x.coefficients.new_empty(n_atoms(x) * n_components * shape.channels)

    def adjoint_results(x: Inputs) -> torch.Tensor:
        return flat(x, shape.dim) if by_degree else torch.empty_like(x.features)

    def backward(x: Inputs, needed: frozenset[str], call: Suffix, gradient: Any) -> Gradients:
        found = call("_adjoint")(gradient, *vars(x).values())
        if by_degree:
            return {"features": split_flat(found, n_atoms(x), [shape.channels] * n_degrees)}
        return {"features": found}

    return (
        Operator("", atoms, 1, lambda x: flat(x, n_rows), backward),
        Operator("_adjoint", ("gradient", *atoms), 1, adjoint_results),
        Operator("_pack", ("coefficients",), 1, None),
    )


def _sorted_edges(x: Inputs) -> Any:
    return (
        x.atoms.new_empty(x.atoms.shape[0], dtype=torch.int32),
        x.atoms.new_empty(x.n_atoms + 1, dtype=torch.int32),
    )


def _sums(x: Inputs) -> Any:
    return x.values.new_empty(x.begin.shape[0] - 1, *x.values.shape[1:])


def _gradient_of_values(
    x: Inputs, needed: frozenset[str], call: Suffix, gradient: Any
) -> Gradients:
    return {"values": gradient.index_select(0, x.atoms)}


COMMON = {
    "sort_edges": Operator("", ("atoms", "SymInt n_atoms"), 2, _sorted_edges),
    "sum_edges": Operator("", ("values", "atoms", "order", "begin"), 1, _sums, _gradient_of_values),
    "multiply": Operator(
        "", ("x", "packed", "int n"), 1, lambda x: x.x.new_empty(x.x.shape[0], x.n)
    ),
    "multiply_pack": Operator("", ("matrix",), 1, None),
    "multiply_pack_in_panels": Operator("", ("matrix",), 1, None),
    "near_edges": Operator(
        "", ("positions", "before", *PAIRS, "float r_min", "float limit"), 3, None
    ),
    "near_pairs": Operator("", ("positions", *PAIRS), 2, None),
    "results_of_edges": Operator("", (*RESULTS, "float energy_unit", "float force_unit"), 2, None),
    "edges_of_pairs": Operator(
        "", ("rij", "senders", "receivers", "rows", "positions", "positions_before"), 3, None
    ),
    "results_of_pairs": Operator(
        "", ("edge_gradients", "node_energies", "head_weights", "float unit"), 3, None
    ),
    "count_pairs": Operator("", ("points", "int n_centres", "float r_max"), 1, None),
    "release_memory": Operator("", (), 0, None),
}
"""Operators that every C++ library has, regardless of its shapes."""


def _messages(widths: Sequence[int]) -> Callable[[Inputs], torch.Tensor]:
    """Flat messages with this many channels of each degree."""
    size = sum((2 * degree + 1) * width for degree, width in enumerate(widths))
    return lambda x: x.features.new_empty((x.begin.shape[0] - 1) * size)
