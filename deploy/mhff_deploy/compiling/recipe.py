"""How the constants of a program are made of the tensors of its network.

Tracing finds which tensors a program reads, and which results depend on them alone: embeddings of
the elements, transposes for the adjoint. Like the compiled code, this depends on the architecture
only. So it is kept beside the code as a recipe (`code.py`), and another model of a known
architecture needs no tracing: its tensors and the recipe give the constants.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch.fx import GraphModule, Node

from mhff_deploy.artefact.constants import PACK_MATRIX, Constants, Packing
from mhff_deploy.kernels.cpu import CppKernels
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.tables import BASIS

ITEM = "item"
"""Stands for taking one of several results."""


class Source(NamedTuple):
    """A tensor that a program may read."""

    tensor: torch.Tensor
    """As it is traced."""
    packing: Packing | None = None
    """How it is made when a program is opened, if it is in the form of a kernel."""


def sources_of(network: LoweredNetwork, kernels: CppKernels | None) -> dict[str, Source]:
    """All tensors of a lowered network and its kernels, by name."""
    named = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    sources = {name: Source(tensor) for name, tensor in named.items()} | {"splines": Source(BASIS)}
    if kernels is None:
        return sources
    packed = {f"kernels.{index}": Source(*each) for index, each in enumerate(kernels.packings)}
    maps = {
        f"kernels.maps.{layer}.{degree}": Source(matrix)
        for layer, of_layer in enumerate(kernels.maps)
        for degree, matrix in enumerate(of_layer.tensors())
    }
    return sources | packed | maps


class Step(BaseModel):
    """A call of an operator of torch on values that depend on the weights only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operator: str
    """As in `torch.ops`, with its overload."""
    arguments: list[Any]
    """Plain JSON, in which values, dtypes and devices are given by name (`_encoded`)."""
    keywords: dict[str, Any]

    def run(self, values: Mapping[str, Any]) -> Any:
        """The result; `values` are those of earlier steps and of the sources."""
        arguments = _decoded(self.arguments, values)
        if self.operator == ITEM:
            return operator.getitem(*arguments)
        call: Any = torch.ops
        for part in self.operator.split("."):
            call = getattr(call, part)
        keywords = {name: _decoded(value, values) for name, value in self.keywords.items()}
        return call(*arguments, **keywords)


class Recipe(BaseModel):
    """What a program reads, in terms of the tensors of its network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: dict[str, Step] = {}
    """By the names of their results, in order."""
    constants: dict[str, str] = {}
    """The value of each constant, by its name in the program."""
    products: dict[str, str] = {}
    """The same for factors of matrix products, which kernels read in their own form."""

    def values(self, sources: Mapping[str, Source]) -> dict[str, Any]:
        """Sources and results of all steps, by name."""
        values: dict[str, Any] = {name: source.tensor for name, source in sources.items()}
        with torch.no_grad():
            for name, step in self.steps.items():
                values[name] = step.run(values)
        return values

    def made(self, sources: Mapping[str, Source]) -> Constants:
        """The constants of the program of a network."""
        values = self.values(sources)
        packings = {
            name: Packing(PACK_MATRIX, (values[value],)) for name, value in self.products.items()
        }
        plain = {}
        for name, value in self.constants.items():
            packing = sources[value].packing if value in sources else None
            if packing is None:
                # a copy, because some are views of others
                plain[name] = values[value].detach().clone(memory_format=torch.contiguous_format)
            else:
                packings[name] = packing
        return Constants(plain, packings)

    def with_products(self, factors: Mapping[str, str], read: Iterable[str]) -> Recipe:
        """The recipe once products are in kernels: `factors` has the constant of each new one.

        `read`: names of the constants that the program still reads.
        """
        left = set(read) - set(factors)
        return Recipe(
            steps=self.steps,
            constants={name: value for name, value in self.constants.items() if name in left},
            products={name: self.constants[factor] for name, factor in factors.items()},
        )


class Taken(NamedTuple):
    """The constants of a traced program."""

    recipe: Recipe
    sources: dict[str, Source]
    """Those that were given, and the other tensors of the program, such as tables on a GPU."""


def take_constants(program: GraphModule, sources: Mapping[str, Source]) -> Taken:
    """Leave to a traced program, in place, only what depends on its inputs.

    What depends on weights only becomes constants, and how they are made its recipe.
    """
    name_of = {id(source.tensor): name for name, source in sources.items()}
    all_sources = dict(sources)
    values: dict[Node, str] = {}  # by their names
    steps: dict[str, Step] = {}
    for node in program.graph.nodes:
        if node.op == "get_attr":
            tensor = getattr(program, str(node.target))
            name = values[node] = name_of.setdefault(id(tensor), f"program.{node.target}")
            all_sources.setdefault(name, Source(tensor))
        elif _depends_only_on(values, node):
            name = values[node] = f"steps.{node.name}"
            steps[name] = _step(node, values)
    computed = Recipe(steps=steps).values(all_sources)
    constants = {str(node.target): name for node, name in values.items() if node.op == "get_attr"}
    for node, name in values.items():
        read = not all(user in values for user in node.users)
        if read and node.op != "get_attr" and isinstance(computed[name], torch.Tensor):
            constants |= {_replaced(program, node, computed[name]): name}
    cleaned(program)
    read_names = constant_names(program)
    return Taken(Recipe(steps=steps, constants={n: constants[n] for n in read_names}), all_sources)


def _depends_only_on(values: Mapping[Node, str], node: Node) -> bool:
    """Whether a node is a call on known values only."""
    is_call = isinstance(node.target, torch._ops.OpOverload) or node.target is operator.getitem
    return is_call and bool(node.all_input_nodes) and all(n in values for n in node.all_input_nodes)


def _replaced(program: GraphModule, node: Node, value: torch.Tensor) -> str:
    """Name of the constant of a program that replaces a node."""
    name = f"_of_weights_{node.name}"
    program.register_buffer(name, value.contiguous())
    with program.graph.inserting_before(node):
        node.replace_all_uses_with(program.graph.get_attr(name))
    return name


def cleaned(program: GraphModule) -> None:
    """Remove what nothing reads, after a change of a program's graph."""
    program.graph.eliminate_dead_code()
    program.delete_all_unused_submodules()
    program.recompile()


def constant_names(program: GraphModule) -> list[str]:
    """Names of the constants of a traced program."""
    return sorted({str(node.target) for node in program.graph.nodes if node.op == "get_attr"})


def _step(node: Node, values: Mapping[Node, str]) -> Step:
    """A node of a traced graph as a step."""
    name = ITEM if node.target is operator.getitem else str(node.target)
    return Step(
        operator=name,
        arguments=_encoded(node.args, values),
        keywords={name: _encoded(value, values) for name, value in node.kwargs.items()},
    )


def _encoded(argument: Any, values: Mapping[Node, str]) -> Any:
    """An argument of a node as plain JSON."""
    if isinstance(argument, Node):
        return {"value": values[argument]}
    if isinstance(argument, torch.dtype):
        return {"dtype": str(argument).removeprefix("torch.")}
    if isinstance(argument, torch.device):
        return {"device": str(argument)}
    if isinstance(argument, (list, tuple)):
        return [_encoded(each, values) for each in argument]
    return argument


def _decoded(argument: Any, values: Mapping[str, Any]) -> Any:
    """The inverse of `_encoded`, with the values themselves."""
    match argument:
        case {"value": name}:
            return values[name]
        case {"dtype": name}:
            return getattr(torch, name)
        case {"device": name}:
            return torch.device(name)
        case list():
            return [_decoded(each, values) for each in argument]
    return argument
