"""Matrix products of a traced program with its constants, by the kernels' own product.

On an AMD processor torch's product (MKL) reaches 55 G multiply-adds (5.5e10) per second and core,
oneDNN's 112 G, and this one, whose constant matrix is packed in advance, 130 G (docs/speed.md).
"""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from mhff.ops.registration import find
from mhff_deploy.artefact.constants import Packing

PACK = "multiply_pack"
"""The operator that packs a matrix."""


def use_kernel(program: GraphModule, namespace: str) -> dict[str, Packing]:
    """Replace the products with constant matrices, in place; returns how these are packed, by name.

    `namespace`: that of the kernels' operators (`mhff.ops.cpu`).
    """
    multiply = find(namespace, "multiply")
    packings: dict[str, Packing] = {}
    for index, node in enumerate(list(program.graph.nodes)):
        weight = _constant_factor(program, node)
        if weight is None:
            continue
        name = f"_packed_{index}"
        packings[name] = Packing(PACK, (weight,))
        program.register_buffer(name, packings[name].stand_in())
        with program.graph.inserting_before(node):
            packed = program.graph.get_attr(name)
            product = program.graph.call_function(multiply, (node.args[0], packed, weight.shape[1]))
        product.meta = dict(node.meta)
        node.replace_all_uses_with(product)
        program.graph.erase_node(node)
    program.graph.eliminate_dead_code()
    program.delete_all_unused_submodules()
    program.recompile()
    return packings


def _constant_factor(program: GraphModule, node: Node) -> torch.Tensor | None:
    """The right factor of a matrix product if it is a constant of the program."""
    if node.target != torch.ops.aten.mm.default:
        return None
    right = node.args[1]
    if isinstance(right, Node) and right.op == "get_attr":
        return getattr(program, str(right.target))
    return None
