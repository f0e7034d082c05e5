"""Compares lowered networks that run Triton's kernels with the same networks in plain torch; prints
differences as JSON.

    TRITON_INTERPRET=1 python tests/triton_networks.py ARCHITECTURE float64 [STRUCTURE ...]     on any machine
    python tests/triton_networks.py ARCHITECTURE float64 cuda                                  on a GPU, all structures

A process of its own, because TRITON_INTERPRET must be set before Triton is imported:
tests/unit/ops/test_gpu.py runs it. Architectures are those of `models.CONFIGS`, structures those of
`structures.STRUCTURES`.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from pathlib import Path

import torch
from models import random_model
from structures import STRUCTURES

from mhff.graph import Graph, graph_from_atoms
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.ops.ghosts import owner_plan
from mhff_deploy.kernels.gpu import TritonKernels
from mhff_deploy.lowering.network import LoweredMACE

INTERVALS = 32
R_MAX = 4.0


def results(
    network: LoweredMACE, graph: Graph, device: str, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Node energies and edge gradients of a structure in which the senders of every third edge are
    ghosts.
    """
    generator = torch.Generator().manual_seed(3)
    weights = torch.rand(
        graph.n_atoms, len(network.config.heads), generator=generator, dtype=torch.float64
    )
    moved, sender = graph.edge_index[0, ::3], graph.edge_index[0].clone()
    sender[::3] = graph.n_atoms + torch.arange(len(moved))
    energies, gradients = energies_and_edge_gradients(
        network,
        graph.edge_vectors.to(device, dtype),
        torch.stack([sender, graph.edge_index[1]]).to(device),
        torch.cat([graph.species, graph.species[moved]]).to(device),
        weights.to(device),
        owner_plan(moved).to(device),
        torch.cat([graph.state_of_atom, graph.state_of_atom[moved]]).to(device),
    )
    return {"energies": energies.cpu(), "gradients": gradients.cpu()}


def differences(
    name: str, dtype: torch.dtype, structures: list[str], folder: Path, device: str
) -> dict[str, float]:
    """Largest difference of each result from plain torch in float64, relative to max(1, the largest
    gradient).
    """
    network = (
        random_model(name, n_channels=8, n_edge_channels=8).network.double().requires_grad_(False)
    )
    reference = LoweredMACE(network, INTERVALS)
    kernels = TritonKernels(reference, network, dtype, torch.device(device), folder)
    lowered = copy.deepcopy(reference).to(device, dtype)
    lowered.kernels = kernels
    found = {}
    for structure in structures:
        graph = graph_from_atoms(STRUCTURES[structure](), network.config.elements, R_MAX)
        right, values = (
            results(reference, graph, "cpu", torch.float64),
            results(lowered, graph, device, dtype),
        )
        scale = (
            max(1.0, float(right["gradients"].abs().amax())) if graph.edge_index.numel() else 1.0
        )
        for quantity, expected in right.items():
            if values[quantity].shape != expected.shape:
                raise RuntimeError(
                    f"{name}, {structure}: {quantity} have the shape "
                    f"{tuple(values[quantity].shape)}"
                )
            difference = (values[quantity] - expected).abs()
            found[f"{quantity}, {structure}"] = (
                float(difference.amax()) / scale if expected.numel() else 0.0
            )
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    architecture, precision, *chosen = sys.argv[1:]
    on_gpu = chosen == ["cuda"]
    names = list(STRUCTURES) if on_gpu or not chosen else chosen
    with tempfile.TemporaryDirectory() as made:
        print(
            json.dumps(
                differences(
                    architecture,
                    getattr(torch, precision),
                    names,
                    Path(made),
                    "cuda" if on_gpu else "cpu",
                )
            )
        )
