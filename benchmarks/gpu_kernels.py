"""The kernels in Triton one by one, with their least traffic and arithmetic, for `gpu.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from mhff.files import kernel_folder
from mhff.graph import Graph
from mhff.model.mace import MACE
from mhff_bench.count import convolution, product
from mhff_deploy.kernels.gpu import TritonKernels
from mhff_deploy.lowering.reference import KernelEdges
from mhff_deploy.radial.networks import tabulate_radial

N_INTERVALS = {"float32": 128, "float64": 384}
"""Intervals of the radial tables that give the default errors of forces."""


class Work(NamedTuple):
    """A kernel with its least traffic (every input and output once) and its multiply-adds."""

    name: str
    call: Callable[[], Any]
    traffic: float
    multiply_adds: float


def works(network: MACE, graph: Graph, dtype: str, device: torch.device) -> Iterator[Work]:
    """Forward and adjoint kernels of a network, with the inputs of a structure.

    `network`: in float64, without gradients.
    """
    config = network.config
    real = getattr(torch, dtype)
    n_atoms = graph.n_local
    tables = tabulate_radial(network, N_INTERVALS[dtype])
    made = TritonKernels(network, tables, real, device, kernel_folder())
    vectors = graph.edge_vectors.to(device, real)
    edge_index = graph.edge_index.to(device)
    species = graph.species.to(device)
    vectors.requires_grad_()
    n_edges = edge_index.shape[1]
    harmonics, r = made.geometry(vectors)
    yield work("geometry", lambda: made.geometry(vectors), [vectors], [harmonics, r])
    yield adjoint("geometry", [harmonics, r], [vectors], [vectors])
    yield work("sort", lambda: made.sort(edge_index[1], n_atoms), [edge_index[1]], [])
    order, begin = made.sort(edge_index[1], n_atoms)
    harmonics, r = (
        harmonics.detach().requires_grad_(),
        r.detach().clamp(max=config.r_max).requires_grad_(),
    )
    edges = KernelEdges(edge_index, harmonics, r, species, n_atoms, order, begin)
    for layer in range(config.n_layers):
        channels = config.edge_channels(layer)
        sent = torch.randn(
            n_atoms, (config.message_lmax(layer) + 1) ** 2, channels, dtype=real, device=device
        )
        sent.requires_grad_(layer > 0)
        messages = made.messages(layer, sent, edges)
        read, wanted = (
            [sent, harmonics, edge_index, r, made.tables[layer]],
            [harmonics, r, *[sent] * (layer > 0)],
        )
        adds = (
            n_edges * channels * convolution(config, layer)
        )  # forward and adjoint: about a third and two thirds
        name = f"convolution {layer}"
        yield work(name, lambda: made.messages(layer, sent, edges), read, [messages], adds / 3)  # noqa: B023
        yield adjoint(name, [messages], wanted, read, 2 * adds / 3)
        size = n_atoms * (config.l_max + 1) ** 2 * config.n_channels
        a = torch.randn(size, dtype=real, device=device, requires_grad=True)
        products = made.contraction(layer, a, species)
        read, adds = (
            [a, made.coefficients[layer]],
            n_atoms * config.n_channels * product(config, layer),
        )
        name = f"contraction {layer}"
        yield work(name, lambda: made.contraction(layer, a, species), read, [products], adds / 4)  # noqa: B023
        yield adjoint(name, [products], [a], read, 3 * adds / 4)


def work(
    name: str,
    call: Callable[[], Any],
    read: list[torch.Tensor],
    written: list[torch.Tensor],
    multiply_adds: float = 0.0,
) -> Work:
    """A kernel with the traffic of these tensors."""
    return Work(
        name, call, sum(x.numel() * x.element_size() for x in [*read, *written]), multiply_adds
    )


def adjoint(
    name: str,
    results: list[torch.Tensor],
    inputs: list[torch.Tensor],
    read: list[torch.Tensor],
    multiply_adds: float = 0.0,
) -> Work:
    """The adjoint of the operations behind `results`, repeated on one recorded graph."""
    gradients = [torch.randn_like(result) for result in results]

    def call() -> Any:
        return torch.autograd.grad(results, inputs, gradients, retain_graph=True)

    return work(f"{name}, adjoint", call, [*read, *gradients], inputs, multiply_adds)
