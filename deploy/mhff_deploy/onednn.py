"""Matrix products of a traced float32 program through oneDNN, whose kernels use a processor's full vector width.

torch's own (MKL) reach half of it on processors of AMD: 55 against 125 thousand million multiply-adds per second and core
(benchmarks/results).
"""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node


def use_onednn(program: GraphModule) -> None:
    """Exchange the products with a constant matrix, in place; does nothing where torch has no oneDNN."""
    if not torch.backends.mkldnn.is_available():
        return
    for index, node in enumerate(list(program.graph.nodes)):
        weight = _constant_factor(program, node)
        if weight is None or weight.dtype != torch.float32:
            continue
        name = f"_transposed_{index}"
        program.register_buffer(name, weight.T.contiguous())
        with program.graph.inserting_before(node):
            transposed = program.graph.get_attr(name)
            product = program.graph.call_function(
                torch.ops.mkldnn._linear_pointwise.default, (node.args[0], transposed, None, "none", [], "")
            )
        product.meta = dict(node.meta)
        node.replace_all_uses_with(product)
        program.graph.erase_node(node)
    program.graph.eliminate_dead_code()
    program.delete_all_unused_submodules()
    program.recompile()


def _constant_factor(program: GraphModule, node: Node) -> torch.Tensor | None:
    """The right factor of a matrix product, where it is one of the program's constants."""
    if node.target != torch.ops.aten.mm.default:
        return None
    right = node.args[1]
    return getattr(program, str(right.target)) if isinstance(right, Node) and right.op == "get_attr" else None
