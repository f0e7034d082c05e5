"""Compares networks that run Triton's kernels with the same networks in plain torch, as JSON.

TRITON_INTERPRET=1 python -m mhff_bench.gpu_checks.networks ARCHITECTURE float64 [STRUCTURE ...]
python -m mhff_bench.gpu_checks.networks ARCHITECTURE float64 cuda         on a GPU, all structures
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from ase import Atoms
from ase.build import bulk, molecule

from mhff.atoms import graph_from_atoms
from mhff.graph import Graph
from mhff.model.derivatives import energies_and_edge_gradients
from mhff_bench.random_networks import ARCHITECTURES, random_network
from mhff_deploy.compiling.verify import with_ghosts
from mhff_deploy.kernels.gpu import TritonKernels
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.networks import tabulate_radial

N_INTERVALS = 32
"""Intervals of the radial tables."""


def crystal() -> Atoms:
    """Rattled MgO, 8 atoms, in a cell that is smaller than the cutoff."""
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def wire() -> Atoms:
    """A chain of three elements, periodic in one direction."""
    positions = [[0, 0, 0], [0.3, 1.7, 0.2], [1.4, 0.2, 2.2]]
    return Atoms("OMgC", positions=positions, cell=[0, 0, 3.9], pbc=(False, False, True))


def far_apart() -> Atoms:
    """Three atoms without an edge."""
    return Atoms("OHMg", positions=[[0, 0, 0], [40, 0, 0], [0, 40, 0]])


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    "crystal": crystal,
    "wire": wire,
    "molecule": lambda: molecule("CH3CONH2"),
    "far apart": far_apart,
    "one atom": lambda: Atoms("O"),
    "no atoms": Atoms,
}


def results(
    network: LoweredNetwork, graph: Graph, device: str, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Node energies and edge gradients of a structure; every third edge's sender is a ghost."""
    generator = torch.Generator().manual_seed(3)
    n_heads = len(network.config.heads)
    weights = torch.rand(graph.n_local, n_heads, generator=generator, dtype=torch.float64)
    moved = with_ghosts(graph).to(device, dtype)
    energies, gradients = energies_and_edge_gradients(network, moved, weights.to(device))
    return {"energies": energies.cpu(), "gradients": gradients.cpu()}


def differences(
    name: str, dtype: torch.dtype, structures: list[str], folder: Path, device: str
) -> dict[str, float]:
    """Largest difference of each result from plain torch in float64.

    Differences are relative to max(1, largest gradient).
    """
    network = random_network(**ARCHITECTURES[name]).double().requires_grad_(False)
    tables = tabulate_radial(network, N_INTERVALS)
    reference = LoweredNetwork(network, tables)
    kernels = TritonKernels(network, tables, dtype, torch.device(device), folder)
    lowered = LoweredNetwork(network, tables, kernels)
    found = {}
    for structure in structures:
        graph = graph_from_atoms(
            STRUCTURES[structure](), network.config.elements, network.config.r_max
        )
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


def main() -> None:
    """Read the command line and print the differences."""
    torch.set_num_threads(1)
    architecture, precision, *chosen = sys.argv[1:]
    device = "cuda" if chosen == ["cuda"] else "cpu"
    names = chosen if chosen and device == "cpu" else list(STRUCTURES)
    with tempfile.TemporaryDirectory() as folder:
        dtype = getattr(torch, precision)
        found = differences(architecture, dtype, names, Path(folder), device)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
