"""Tracing: energies of all heads and the edge gradients as one graph of plain operators.

No autograd is left in the graph. Every target's program has the same signature:

    tensors in the order of `mhff.graph.PROGRAM_INPUTS`, then tables (`mhff_deploy.radial.inputs`)
        -> (node_energies [n_local, n_heads] float64, edge_gradients [E, 3])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.fx import GraphModule
from torch.fx.experimental import _config as fx_config
from torch.fx.experimental.proxy_tensor import make_fx

from mhff.graph import PROGRAM_INPUTS, from_program_inputs, make_graph, program_inputs
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.network import Network
from mhff.ops.ghosts import owner_plan
from mhff_deploy.compiling.recipe import cleaned
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.inputs import TableInputs


def example_inputs(
    n_heads: int,
    dtype: torch.dtype,
    device: torch.device,
    n_local: int = 7,
    n_ghosts: int = 5,
    n_edges: int = 53,
) -> tuple[torch.Tensor, ...]:
    """Inputs to trace with; all sizes differ, so that no two are taken for the same dimension."""
    generator = torch.Generator().manual_seed(0)
    sender = torch.randint(0, n_local + n_ghosts, (n_edges,), generator=generator)
    receiver = torch.randint(0, n_local, (n_edges,), generator=generator).sort().values
    owners = torch.randint(0, n_local, (n_ghosts,), generator=generator)
    graph = make_graph(
        2.0 * torch.randn(n_edges, 3, generator=generator, dtype=torch.float64),
        torch.stack([sender, receiver]),
        torch.zeros(n_local + n_ghosts, dtype=torch.int64),
        ghost_plan=owner_plan(owners),
    )
    weights = torch.rand(n_local, n_heads, generator=generator, dtype=torch.float64)
    return program_inputs(graph, weights, device, dtype)


def dynamic_shapes(tables: TableInputs | None) -> tuple[dict[int, Any], ...]:
    """The dimensions of each program input that may have any size, as `torch.export` takes them.

    `tables`: the inputs behind those of `PROGRAM_INPUTS`, if there are any.
    """
    names = {field.shape[field.size_axis] for field in PROGRAM_INPUTS}
    sizes = {
        name: torch.export.Dim(f"n_{str(name).lower().removeprefix('n_')}", min=0) for name in names
    }
    shapes = [{field.size_axis: sizes[field.shape[field.size_axis]]} for field in PROGRAM_INPUTS]
    of_tables: list[dict[int, Any]] = []
    for axes in () if tables is None else tables.sizes:
        of_tables.append({axis: torch.export.Dim(name) for axis, name in axes.items()})
    return (*shapes, *of_tables)


def trace(network: Network) -> GraphModule:
    """Record a network's energies and edge gradients for any numbers of atoms, ghosts and edges.

    The network's parameters must not require gradients.
    """

    n_inputs = len(PROGRAM_INPUTS)
    tables = table_inputs_of(network)

    def program(*inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        graph, head_weights = from_program_inputs(inputs[:n_inputs])
        with _reading(network, inputs[n_inputs:]):
            return energies_and_edge_gradients(network, graph, head_weights)

    record = make_fx(
        program,
        tracing_mode="symbolic",
        _allow_non_fake_inputs=True,
        _error_on_data_dependent_ops=True,
    )
    with fx_config.patch(use_duck_shape=False):  # type: ignore[attr-defined]  # installed at import
        graph_module = record(
            *example_inputs(len(network.config.heads), network.dtype, network.device),
            *(() if tables is None else tables.tensors),
        )
    _drop_detach(graph_module)
    return graph_module


def table_inputs_of(network: Network) -> TableInputs | None:
    """The tables that a network reads and its program takes as inputs."""
    return network.table_inputs if isinstance(network, LoweredNetwork) else None


@contextmanager
def _reading(network: Network, tables: Sequence[torch.Tensor]) -> Iterator[None]:
    """Let a network read other tables within, if it reads any."""
    if not tables or not isinstance(network, LoweredNetwork):
        yield
        return
    own = network.table_inputs
    network.table_inputs = TableInputs.of(tables, network.config.n_layers)
    try:
        yield
    finally:
        network.table_inputs = own


def _drop_detach(module: GraphModule) -> None:
    """Without autograd, detach and alias do nothing."""
    for node in module.graph.nodes:
        if node.target in (torch.ops.aten.detach.default, torch.ops.aten.alias.default):
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)
    cleaned(module)
