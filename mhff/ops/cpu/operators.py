"""Loads a program's library and tells torch what its operators' results look like and how to
differentiate them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from mhff.ops.cpu.parts import Contraction, Convolution, Geometry, Part

_LOADED: set[str] = set()
"""Namespaces of libraries that this process has loaded; torch refuses a second one."""
_TRACEABLE: set[str] = set()
"""Namespaces whose results and derivatives torch knows; it wants to be told once."""
N_TABLE = 9
"""Arguments of an operator that describe its table, the first of which, r, has a gradient."""


def load(library: Path, namespace: str, parts: Mapping[str, Part]) -> Any:
    """The operators `torch.ops.<namespace>.<name>` of a library that `build` made from the same
    parts.
    """
    load_library(library, namespace)
    if namespace in _TRACEABLE:
        return operators(namespace)
    _TRACEABLE.add(namespace)
    torch.library.register_fake(f"{namespace}::sort_edges", _fake_sort)
    _sum_edges(f"{namespace}::sum_edges")
    torch.library.register_fake(
        f"{namespace}::multiply", lambda x, packed, n: x.new_empty(x.shape[0], n)
    )
    for name, part in parts.items():
        _REGISTER[type(part)](f"{namespace}::{name}", part)
    return operators(namespace)


def operators(namespace: str) -> Any:
    """The operators of a library that was loaded."""
    return getattr(torch.ops, namespace)


def load_library(library: Path, namespace: str) -> None:
    """Load a library once; compiled programs need no more."""
    if namespace not in _LOADED:
        torch.ops.load_library(str(library))
        _LOADED.add(namespace)


def _fake_sort(atoms: torch.Tensor, n_atoms: int) -> tuple[torch.Tensor, torch.Tensor]:
    return atoms.new_empty(atoms.shape[0], dtype=torch.int32), atoms.new_empty(
        n_atoms + 1, dtype=torch.int32
    )


def _operator(name: str) -> Any:
    namespace, operator = name.split("::")
    return getattr(getattr(torch.ops, namespace), operator).default


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keeps all inputs: tensors as torch wants them kept, numbers as they are; numbers come last in
    all schemas.
    """
    ctx.numbers = [x for x in inputs if not isinstance(x, torch.Tensor)]
    ctx.save_for_backward(*(x for x in inputs if isinstance(x, torch.Tensor)))


def _saved(ctx: Any) -> list[Any]:
    """The inputs that `_save` kept."""
    return [*ctx.saved_tensors, *ctx.numbers]


def _sum_edges(name: str) -> None:
    def fake(
        values: torch.Tensor, atoms: torch.Tensor, order: torch.Tensor, begin: torch.Tensor
    ) -> torch.Tensor:
        return values.new_empty(begin.shape[0] - 1, *values.shape[1:])

    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (atoms,) = ctx.saved_tensors
        return gradient.index_select(0, atoms), None, None, None

    torch.library.register_fake(name, fake)
    torch.library.register_autograd(
        name, backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[1])
    )


def _geometry(name: str, part: Geometry) -> None:
    def fake(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return vectors.new_empty(vectors.shape[0], (part.l_max + 1) ** 2), vectors.new_empty(
            vectors.shape[0]
        )

    def backward(ctx: Any, d_harmonics: torch.Tensor, d_r: torch.Tensor) -> torch.Tensor:
        return _operator(f"{name}_adjoint")(
            d_harmonics.contiguous(), d_r.contiguous(), *_saved(ctx)
        )

    torch.library.register_fake(name, fake)
    torch.library.register_fake(
        f"{name}_adjoint", lambda d_harmonics, d_r, vectors: torch.empty_like(vectors)
    )
    torch.library.register_autograd(name, backward, setup_context=_save)


def _convolution(name: str, part: Convolution) -> None:
    widths = part.mapped or [n * part.channels for n in part.paths_to]
    size = sum((2 * degree + 1) * width for degree, width in enumerate(widths))

    def fake(features, harmonics, edge_index, order, begin, *radial):  # type: ignore[no-untyped-def]
        return features.new_empty((begin.shape[0] - 1) * size)

    def fake_adjoint(gradient, features, harmonics, edge_index, order, begin, radial, *rest):  # type: ignore[no-untyped-def]
        return torch.empty_like(features), torch.empty_like(harmonics), torch.empty_like(radial)

    torch.library.register_fake(name, fake)
    torch.library.register_fake(f"{name}_adjoint", fake_adjoint)
    if part.per_edge:
        _differentiate_twice(name)
    else:
        torch.library.register_fake(
            f"{name}_adjoint_of_edges", lambda *inputs: fake_adjoint(*inputs)[1:]
        )
        _differentiate_tabulated(name)


def _differentiate_tabulated(name: str) -> None:
    """First derivatives; those of features that depend on nothing are left out."""

    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        inputs, d_features = _saved(ctx), None
        if ctx.needs_input_grad[0]:
            d_features, d_harmonics, d_r = _operator(f"{name}_adjoint")(
                gradient.contiguous(), *inputs
            )
        else:
            d_harmonics, d_r = _operator(f"{name}_adjoint_of_edges")(gradient.contiguous(), *inputs)
        return d_features, d_harmonics, None, None, None, d_r, *[None] * (N_TABLE - 1)

    torch.library.register_autograd(name, backward, setup_context=_save)


def _differentiate_twice(name: str) -> None:
    """The convolution F(h, Y, w) is linear in each argument, so all its derivatives are itself and
    its adjoint.

    With Phi = <g, F(h, Y, w)> the adjoint gives the derivatives of Phi by h, Y and w. Cotangents a,
    b, c of these make Psi = Phi(g, a, Y, w) + Phi(g, h, b, w) + Phi(g, h, Y, c): three times the
    same thing with an argument exchanged.
    """

    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        d_features, d_harmonics, d_weights = _operator(f"{name}_adjoint")(
            gradient.contiguous(), *_saved(ctx)
        )
        return d_features, d_harmonics, None, None, None, d_weights

    def backward_of_adjoint(ctx, *cotangents):  # type: ignore[no-untyped-def]
        g, h, y, *edges, w = _saved(ctx)
        by_g: torch.Tensor | None = None
        gradients: list[torch.Tensor | None] = [None, None, None]
        for exchanged, cotangent in enumerate(cotangents):
            if (
                cotangent is None
            ):  # as that of the features in a first layer, which do not depend on positions
                continue
            arguments = [h, y, w]
            arguments[exchanged] = cotangent.contiguous()
            features, harmonics, weights = arguments
            by_g = _sum(by_g, _operator(name)(features, harmonics, *edges, weights))
            derivatives = _operator(f"{name}_adjoint")(g, features, harmonics, *edges, weights)
            gradients = [
                total if position == exchanged else _sum(total, derivative)
                for position, (total, derivative) in enumerate(
                    zip(gradients, derivatives, strict=True)
                )
            ]
        by_h, by_y, by_w = gradients
        return by_g, by_h, by_y, None, None, None, by_w

    def save_adjoint(ctx, inputs, output):  # type: ignore[no-untyped-def]
        _save(ctx, inputs, output)
        ctx.set_materialize_grads(False)

    torch.library.register_autograd(name, backward, setup_context=_save)
    torch.library.register_autograd(
        f"{name}_adjoint", backward_of_adjoint, setup_context=save_adjoint
    )


def _sum(total: torch.Tensor | None, term: torch.Tensor) -> torch.Tensor:
    return term if total is None else total + term


def _contraction(name: str, part: Contraction) -> None:
    n_rows, dim = part.n_rows, part.dim  # tensors' numbers cannot be read while torch traces

    def fake(features, coefficients, species):  # type: ignore[no-untyped-def]
        return features.new_empty(features.shape[0] // dim * n_rows)

    def fake_adjoint(gradient, features, coefficients, species):  # type: ignore[no-untyped-def]
        return torch.empty_like(features)

    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return _operator(f"{name}_adjoint")(gradient.contiguous(), *_saved(ctx)), None, None

    torch.library.register_fake(name, fake)
    torch.library.register_fake(f"{name}_adjoint", fake_adjoint)
    torch.library.register_autograd(name, backward, setup_context=_save)


_REGISTER: dict[type, Callable[[str, Any], None]] = {
    Geometry: _geometry,
    Convolution: _convolution,
    Contraction: _contraction,
}
