"""Compares Triton's kernels with plain torch; prints the largest differences as JSON.

TRITON_INTERPRET=1 python -m mhff_bench.gpu_checks.kernels CASE float64    on any machine
python -m mhff_bench.gpu_checks.kernels CASE float64 cuda                  on a GPU
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from mhff.model.mace import MACE
from mhff.ops.gpu.module import REGISTERS
from mhff_bench.random_networks import RESIDUAL, random_network
from mhff_deploy.kernels.gpu import TritonKernels
from mhff_deploy.lowering.reference import KernelEdges, Kernels, TorchKernels
from mhff_deploy.radial.networks import tabulate_radial

TINY: dict[str, Any] = {"elements": ("H", "O"), "correlation": 2, "zbl": False}
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "l_max 1": (TINY | {"l_max": 1, "edge_lmax": 1}, REGISTERS),
    "l_max 2, coefficients of elements": (
        TINY | RESIDUAL | {"l_max": 2, "agnostic_product": False, "correlation": 3},
        REGISTERS,
    ),
    "l_max 3, two tiles": (
        TINY | RESIDUAL | {"n_channels": 24, "n_edge_channels": 40, "correlation": 3},
        1,
    ),
    "l_max 4, hidden 2, table of pairs": (
        TINY | {"l_max": 4, "hidden_lmax": 2, "edge_lmax": 2},
        2,
    ),
}
"""Settings of a network and accumulators per thread, by name."""
SIZES = {"system": (4, 2, 17), "no edges": (2, 0, 0), "no atoms": (0, 0, 0), "one atom": (1, 2, 5)}
"""Numbers of local atoms, ghosts and edges."""


def quantities(
    kernels: Kernels, network: MACE, size: tuple[int, int, int], dtype: torch.dtype, device: str
) -> dict[str, torch.Tensor]:
    """Results and gradients of all kernels for random inputs that depend on the arguments only."""
    n_local, n_ghosts, n_edges = size
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return (
            torch.randn(*shape, generator=generator, dtype=torch.float64)
            .float()
            .to(device, dtype)
            .requires_grad_()
        )

    edge_index = torch.stack(
        [
            torch.randint(n_local + n_ghosts, (n_edges,), generator=generator)
            if n_edges
            else torch.zeros(0, dtype=torch.int64),
            torch.randint(n_local, (n_edges,), generator=generator)
            if n_edges
            else torch.zeros(0, dtype=torch.int64),
        ]
    )
    edge_index = edge_index.to(device)
    species = torch.arange(n_local + n_ghosts, device=device) % len(network.config.elements)
    vectors = random(n_edges, 3)
    found = {}
    harmonics, r = kernels.geometry(vectors)
    found["harmonics"] = harmonics
    found["r"] = r
    (found["d_vectors"],) = torch.autograd.grad(
        [harmonics, r], [vectors], [random(*harmonics.shape), random(n_edges)]
    )
    order, begin = kernels.sort(edge_index[1], n_local)
    for layer in range(network.config.n_layers):
        harmonics = random(n_edges, (network.config.l_max + 1) ** 2)
        distance = (
            (0.4 + torch.rand(n_edges, generator=generator, dtype=torch.float64).float() * 3.6)
            .to(device, dtype)
            .requires_grad_()
        )
        sent = random(
            n_local + n_ghosts,
            (network.config.message_lmax(layer) + 1) ** 2,
            network.config.edge_channels(layer),
        )
        edges = KernelEdges(edge_index, harmonics, distance, species, n_local, order, begin)
        messages = kernels.convolution(layer, sent, edges)
        inputs = [sent, harmonics, distance]
        gradient = random(*messages.shape)
        gradients = torch.autograd.grad(messages, inputs, gradient, retain_graph=True)
        found |= {f"messages {layer}": messages} | {
            f"d_{name} {layer}": g for name, g in zip(("sent", "Y", "r"), gradients, strict=True)
        }
        unsent = kernels.convolution(layer, sent.detach(), edges)
        gradients = torch.autograd.grad(unsent, inputs[1:], gradient)
        found |= {
            f"d_{name} {layer} of given features": g
            for name, g in zip(("Y", "r"), gradients, strict=True)
        }
        a = random(n_local * (network.config.l_max + 1) ** 2 * network.config.n_channels)
        products = kernels.contraction(layer, a, species[:n_local])
        found[f"products {layer}"] = products
        (found[f"d_a {layer}"],) = torch.autograd.grad(products, a, random(*products.shape))
    return {name: tensor.detach().cpu() for name, tensor in found.items()}


def differences(case: str, dtype: torch.dtype, folder: Path, device: str) -> dict[str, float]:
    """Largest difference of each quantity from the float64 reference, relative to its maximum."""
    settings, registers = CASES[case]
    network = random_network(**settings).double().requires_grad_(False)
    tables = tabulate_radial(network, 24)
    reference = TorchKernels(network, tables)
    kernels = TritonKernels(network, tables, dtype, torch.device(device), folder, registers)
    largest = {}
    for name, size in SIZES.items():
        expected = quantities(reference, network, size, torch.float64, "cpu")
        found = quantities(kernels, network, size, dtype, device)
        for quantity, value in expected.items():
            if found[quantity].shape != value.shape or found[quantity].dtype != dtype:
                raise RuntimeError(
                    f"{case}, {name}: {quantity} is {found[quantity].dtype} "
                    f"{tuple(found[quantity].shape)}"
                )
            if value.numel():
                scale = float(value.abs().max().clamp(min=1e-30))
                largest[f"{quantity}, {name}"] = (
                    float((found[quantity] - value).abs().max()) / scale
                )
    return largest


def main() -> None:
    """Read the command line and print the differences."""
    torch.set_num_threads(1)
    case, precision, *device = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        dtype = getattr(torch, precision)
        found = differences(case, dtype, Path(folder), device[0] if device else "cpu")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
