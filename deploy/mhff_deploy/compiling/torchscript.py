"""TorchScript: the same traced graph as a script that needs no compiler and no model code."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable

import torch
from torch.fx import GraphModule, Node

_KEYWORDS_OF_TRACING = ("device", "layout", "pin_memory")
"""Keywords that tracing spells out although their defaults are right."""


def compile_torchscript(program: GraphModule, constants: Iterable[str]) -> bytes:
    """Content of a TorchScript file of a traced program (`mhff_deploy.compiling.trace`).

    The named constants are left out; they are set when the file is opened.
    """
    module = torch.fx.GraphModule(program, _scriptable(program))
    for name in constants:
        delattr(module, name)  # some are parameters
        module.register_buffer(name, torch.empty(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; openmm-torch needs it
        script = torch.jit.script(module)
        stream = io.BytesIO()
        torch.jit.save(script, stream)
    return stream.getvalue()


def _scriptable(program: GraphModule) -> torch.fx.Graph:
    """A copy of the graph in the subset of Python that TorchScript knows."""
    graph = torch.fx.Graph()
    values: dict[Node, Node] = {}
    graph.graph_copy(program.graph, values)
    (output,) = (node for node in program.graph.nodes if node.op == "output")
    graph.output(torch.fx.map_arg(output.args[0], values.__getitem__))
    for node in graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload):
            _rewrite(node)
    return graph


def _rewrite(node: Node) -> None:
    """Call an operator by its name without the overload, and sizes as methods."""
    if node.target in (torch.ops.aten.sym_size.int, torch.ops.aten.sym_numel.default):
        node.op = "call_method"
        node.target = "size" if len(node.args) > 1 else "numel"
        return
    node.target = node.target.overloadpacket  # type: ignore[union-attr]
    node.kwargs = {
        name: value for name, value in node.kwargs.items() if name not in _KEYWORDS_OF_TRACING
    }
