"""Matrix products of a traced program with its constants, by the kernels' own product.

On an AMD processor torch's product (MKL) reaches 55 G multiply-adds (5.5e10) per second and core,
oneDNN's 112 G, and this one, whose constant matrix is packed in advance, 130 G (docs/speed.md).
"""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from mhff.ops.registration import find
from mhff_deploy.compiling.recipe import cleaned


def use_kernel(program: GraphModule, namespace: str) -> dict[str, str]:
    """Replace the products with constant matrices, in place.

    Returns the matrix of each new constant, which is to have the form of the kernel, by their names
    in the program. `namespace`: that of the kernels' operators (`mhff.ops.cpu`).
    """
    multiply = find(namespace, "multiply")
    factors: dict[str, str] = {}
    for index, node in enumerate(list(program.graph.nodes)):
        factor = _constant_factor(node)
        if factor is None:
            continue
        weight = getattr(program, factor)
        name = f"_packed_{index}"
        factors[name] = factor
        # no code depends on a packed constant's size or values
        program.register_buffer(name, weight.new_zeros(1))
        with program.graph.inserting_before(node):
            packed = program.graph.get_attr(name)
            product = program.graph.call_function(multiply, (node.args[0], packed, weight.shape[1]))
        product.meta = dict(node.meta)
        node.replace_all_uses_with(product)
        program.graph.erase_node(node)
    cleaned(program)
    return factors


def _constant_factor(node: Node) -> str | None:
    """The right factor of a matrix product if it is a constant of the program."""
    if node.target != torch.ops.aten.mm.default:
        return None
    right = node.args[1]
    if isinstance(right, Node) and right.op == "get_attr":
        return str(right.target)
    return None
