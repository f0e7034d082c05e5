"""How torch learns of an operator: its schema, the shape of its results, its derivatives.

An `Operator` says this once. C++ libraries, Triton kernels and plain torch register it by the same
functions, so no back end counts arguments or lists them again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, Signature
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar

import torch

T = TypeVar("T")
PYTHON_TYPES: dict[str, Any] = {
    "Tensor": torch.Tensor,
    "Tensor[]": list[torch.Tensor],
    "int": int,
    "SymInt": int,
    "SymInt[]": list[int],
    "float": float,
}

LEAF = "torch::autograd::AccumulateGrad"
"""Node of a tensor that no operation made."""

_REGISTERED: dict[str, Any] = {}
"""This process's registrations with torch, by name: libraries, operators, derivatives.

torch keeps operators for the life of a process and refuses a second definition of the same name, so
the record of what it knows is as global as they are. It is the only global state of `mhff.ops`, but
for the memory that libraries of kernels keep (`cpu/include/memory.h`).
"""
_LOCK = threading.RLock()


def once(name: str, make: Callable[[], T]) -> T:
    """Result of `make` when this process first asked for `name`; kept unless it raises."""
    with _LOCK:
        if name not in _REGISTERED:
            _REGISTERED[name] = make()
        return _REGISTERED[name]


Inputs = SimpleNamespace
"""An operator's inputs by their names."""
Call = Callable[..., Any]


class Backward(Protocol):
    """How an operator is differentiated."""

    def __call__(
        self, x: Inputs, needed: frozenset[str], call: Callable[[str], Call], *gradients: Any
    ) -> Mapping[str, Any]:
        """Gradients of inputs, by name, from those of the results; the others are zero.

        `needed` names the inputs whose gradients are asked for, `call` gives the operator of the
        same kernel with another suffix.
        """
        ...


@dataclass(frozen=True)
class Operator:
    """One operator of a kernel."""

    suffix: str
    """End of its name: empty for the kernel itself, or `_adjoint`, `_pack`."""
    arguments: tuple[str, ...]
    """Names, each with its type in front unless it is a Tensor: "features", "float r_max"."""
    results: int
    """Number of tensors that it returns."""
    shape_of_results: Callable[[Inputs], Any] | None
    """Empty results from the inputs; None for operators that are never traced."""
    backward: Backward | None = None
    materialize_gradients: bool = True
    """Whether missing gradients of results are passed on as zeros; otherwise they are None."""

    @property
    def types(self) -> dict[str, str]:
        """Type of each argument in torch's schemas, by name."""
        pairs = (("Tensor " + argument).split()[-2:] for argument in self.arguments)
        return {name: kind for kind, name in pairs}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arguments."""
        return tuple(self.types)

    @property
    def schema(self) -> str:
        """Schema without the operator's name."""
        arguments = ", ".join(f"{kind} {name}" for name, kind in self.types.items())
        results = ", ".join(["Tensor"] * self.results)
        return f"({arguments}) -> " + (results if self.results == 1 else f"({results})")

    @property
    def signature(self) -> Signature:
        """The same as a signature of Python, from which torch infers the schema."""
        several: Any = tuple.__class_getitem__((torch.Tensor,) * self.results)
        result = torch.Tensor if self.results == 1 else several
        parameters = [
            Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, annotation=PYTHON_TYPES[kind])
            for name, kind in self.types.items()
        ]
        return Signature(parameters, return_annotation=result)

    def inputs(self, values: Sequence[Any]) -> Inputs:
        """Inputs by their names."""
        return Inputs(**dict(zip(self.names, values, strict=True)))


def define(
    namespace: str, kernel: str, operators: Sequence[Operator], functions: Mapping[str, Call]
) -> dict[str, Call]:
    """Operators whose results are those of Python functions, by suffix; see `describe`.

    Not by `torch.library.custom_op`, whose first call imports torch's compiler, which takes 1 s.
    """

    def make() -> torch.library.Library:
        library = torch.library.Library(namespace, "FRAGMENT")
        for operator in operators:
            name = kernel + operator.suffix
            library.define(name + operator.schema)
            library.impl(name, functions[operator.suffix], "CompositeExplicitAutograd")
        describe(namespace, kernel, operators)
        return library

    once(f"{namespace}::{kernel}", make)  # the operators are gone when nothing keeps the library
    return {each.suffix: find(namespace, kernel + each.suffix) for each in operators}


def describe(namespace: str, kernel: str, operators: Sequence[Operator]) -> None:
    """Tell torch the shapes and derivatives of operators whose schemas it knows."""
    for operator in operators:
        name = f"{namespace}::{kernel}{operator.suffix}"
        once(f"{name}, described", partial(_describe, name, kernel, operator))


@contextmanager
def declared(namespace: str, kernels: Mapping[str, Sequence[Operator]]) -> Iterator[None]:
    """Within, torch knows operators that nothing implements yet, so they can be traced, not run.

    Other threads wait with what they do `once`, lest they load the same operators meanwhile.
    """
    library = torch.library.Library(namespace, "FRAGMENT")
    with _LOCK:
        try:
            for kernel, operators in kernels.items():
                for operator in operators:
                    name = kernel + operator.suffix
                    library.define(name + operator.schema)
                    _describe(f"{namespace}::{name}", kernel, operator, library)
            yield
        finally:
            library._destroy()


def _describe(
    name: str, kernel: str, operator: Operator, library: torch.library.Library | None = None
) -> None:
    """Shapes and derivatives of an operator, for as long as `library` is there, if it is given."""
    namespace = name.partition("::")[0]
    shape = operator.shape_of_results
    backward = operator.backward
    if shape is not None:
        torch.library.register_fake(
            name, lambda *values: shape(operator.inputs(values)), lib=library
        )
    if backward is None:
        return

    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _keep(operator, ctx, inputs)
        ctx.set_materialize_grads(operator.materialize_gradients)

    def differentiate(ctx: Any, *gradients: torch.Tensor | None) -> tuple[Any, ...]:
        x = operator.inputs(_kept(operator, ctx))
        contiguous = [None if g is None else g.contiguous() for g in gradients]
        found = backward(
            x, _needed(operator, ctx), lambda suffix: find(namespace, kernel + suffix), *contiguous
        )
        return tuple(found.get(name) for name in operator.names)

    torch.library.register_autograd(name, differentiate, setup_context=setup, lib=library)


def _needed(operator: Operator, ctx: Any) -> frozenset[str]:
    """Inputs whose gradients are asked for.

    torch counts all that have one. While forces are computed that includes the weights, whose
    gradients nothing uses, so tensors whose part of the graph this pass leaves out are taken off.
    """
    named = dict(zip(operator.names, ctx.needs_input_grad, strict=True))
    wanted = {name for name, is_wanted in named.items() if _any(is_wanted)}
    if "Tensor[]" in operator.types.values():
        return frozenset(wanted)
    tensors = [name for name, kind in operator.types.items() if kind == "Tensor"]
    for name, (node, _) in zip(tensors, ctx.next_functions, strict=True):
        if node is not None and node.name() == LEAF:  # torch does not say of these
            continue
        if node is None or not torch._C._will_engine_execute_node(node):
            wanted.discard(name)
    return frozenset(wanted)


def _any(wanted: bool | list[bool]) -> bool:
    return any(wanted) if isinstance(wanted, list) else wanted


def _keep(operator: Operator, ctx: Any, inputs: tuple[Any, ...]) -> None:
    """Keep all inputs for the backward pass: tensors in torch's own way, the rest as it is."""
    tensors: list[torch.Tensor] = []
    ctx.others = []
    for kind, value in zip(operator.types.values(), inputs, strict=True):
        if kind == "Tensor":
            tensors.append(value)
        elif kind == "Tensor[]":
            tensors += value
            ctx.others.append(len(value))
        else:
            ctx.others.append(value)
    ctx.save_for_backward(*tensors)


def _kept(operator: Operator, ctx: Any) -> list[Any]:
    """The inputs that `_keep` kept."""
    tensors = iter(ctx.saved_tensors)
    others = iter(ctx.others)
    inputs: list[Any] = []
    for kind in operator.types.values():
        if kind == "Tensor":
            inputs.append(next(tensors))
        elif kind == "Tensor[]":
            inputs.append([next(tensors) for _ in range(next(others))])
        else:
            inputs.append(next(others))
    return inputs


def find(namespace: str, name: str) -> Call:
    """An operator that torch knows."""
    return getattr(getattr(torch.ops, namespace), name).default
