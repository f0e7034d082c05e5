"""The lowered network has the numbers of the exact one, with tables, with kernels, or without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import structures
import torch
from ase import Atoms
from lowered import TABLE_ERROR, assert_same, exact_network, graphs, results
from models import CONFIGS
from tolerances import ROUNDING, assert_close

from mhff.atoms import graph_from_atoms
from mhff.files import kernel_folder
from mhff.graph import make_graph
from mhff_deploy.kernels.cpu import CppKernels
from mhff_deploy.lowering.accuracy import choose_tables
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.networks import tabulate_radial
from mhff_deploy.radial.structures import dimers, distances

JUMPING = {"apply_cutoff": True}
"""Makes the radial functions of the non-linear block jump at the cutoff."""
EXACT = {torch.float64: 1e-10, torch.float32: 2e-5}
"""Rounding of a lowered network without tables, eV and eV/A, relative to max(1, largest force)."""
N_RANDOM = 50
VOLUME = 5.67
"""Volume per atom in diamond, A^3."""
SHORTEST_BOND = 0.74
"""Distance in H2, A."""
WITH_KERNELS = (
    "mp",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("mh1", "density", "omol")),
)
"""Architectures for which kernels are compiled: 5 to 15 seconds each, unless they are cached."""

QUICK_AND_OTHERS = [
    name if name in ("mp", "one_layer") else pytest.param(name, marks=pytest.mark.slow)
    for name in CONFIGS
]
"""All architectures; tables of most take two to four seconds each."""


@pytest.mark.parametrize("name", QUICK_AND_OTHERS)
def test_tables_keep_the_error_that_is_asked_for(name: str) -> None:
    network = exact_network(name)
    lowered = LoweredNetwork(network, choose_tables(network, TABLE_ERROR).tables)
    for graph in graphs(network):
        assert_same(network, lowered, graph, TABLE_ERROR)


@pytest.mark.parametrize(("name", "changes"), [*((name, {}) for name in CONFIGS), ("mh1", JUMPING)])
def test_without_tables_it_is_exact(name: str, changes: dict[str, Any]) -> None:
    network = exact_network(name, **changes)
    lowered = LoweredNetwork(network)
    for graph in graphs(network):
        assert_same(network, lowered, graph, EXACT[torch.float64])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "dtype"),
    [
        ("mh1", {}, torch.float64),
        ("mh1", JUMPING, torch.float64),
        ("mh1", {}, torch.float32),
        ("density", {}, torch.float64),
        ("density", {}, torch.float32),
    ],
)
def test_without_tables_kernels_are_exact(
    name: str, changes: dict[str, Any], dtype: torch.dtype
) -> None:
    network = exact_network(name, **changes)
    kernels = CppKernels(network, None, dtype, kernel_folder())
    kernels.load()
    lowered = LoweredNetwork(network, None, kernels)
    assert lowered.dtype == dtype
    for graph in graphs(network):
        assert_same(network, lowered, graph, EXACT[dtype])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "error"), [(torch.float64, TABLE_ERROR), (torch.float32, EXACT[torch.float32])]
)
@pytest.mark.parametrize("name", WITH_KERNELS)
def test_kernels_read_tables_as_plain_torch_does(
    name: str, dtype: torch.dtype, error: float
) -> None:
    network = exact_network(name)
    tables = choose_tables(network, TABLE_ERROR).tables
    kernels = CppKernels(network, tables, dtype, kernel_folder())
    kernels.load()
    lowered = LoweredNetwork(network, tables, kernels)
    for graph in graphs(network):
        assert_same(network, lowered, graph, error)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_kernels_at_all_distances(dtype: torch.dtype) -> None:
    """Down to where atoms coincide; each dimer by itself, because forces grow without bound."""
    network = exact_network("mp", zbl=True)
    tables = choose_tables(network, TABLE_ERROR).tables
    kernels = CppKernels(network, tables, dtype, kernel_folder())
    kernels.load()
    lowered = LoweredNetwork(network, tables, kernels)
    error = TABLE_ERROR if dtype == torch.float64 else EXACT[dtype]
    for r in distances(network.config.r_max):
        assert_same(network, lowered, dimers(torch.tensor([[1, 4]]), r[None]), error)


@pytest.mark.slow
def test_kernels_for_any_processor_with_avx2() -> None:
    network = exact_network("mh1")
    tables = choose_tables(network, TABLE_ERROR).tables
    kernels = CppKernels(network, tables, torch.float64, kernel_folder(), ("x86-64-v3",))
    kernels.load()
    lowered = LoweredNetwork(network, tables, kernels)
    for graph in graphs(network):
        assert_same(network, lowered, graph, TABLE_ERROR)


@pytest.mark.parametrize("threads", [1, 2])
def test_kernels_are_deterministic(threads: int) -> None:
    network = exact_network("mp")
    tables = tabulate_radial(network, 64)
    kernels = CppKernels(network, tables, torch.float64, kernel_folder())
    kernels.load()
    lowered = LoweredNetwork(network, tables, kernels)
    graph = graph_from_atoms(structures.rattled_bulk().repeat(2), network.config.elements, 4.0)
    torch.set_num_threads(threads)
    try:
        first, second = results(lowered, graph), results(lowered, graph)
    finally:
        torch.set_num_threads(1)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_edges_in_any_order() -> None:
    network = exact_network("mp")
    tables = tabulate_radial(network, 64)
    kernels = CppKernels(network, tables, torch.float64, kernel_folder())
    kernels.load()
    lowered = LoweredNetwork(network, tables, kernels)
    graph = graph_from_atoms(structures.slab(), network.config.elements, 4.0)
    order = torch.randperm(graph.edge_index.shape[1], generator=torch.Generator().manual_seed(0))
    shuffled = make_graph(graph.edge_vectors[order], graph.edge_index[:, order], graph.species)
    expected, found = results(lowered, graph), results(lowered, shuffled)
    assert_close(found[0], expected[0], ROUNDING)
    assert_close(found[1], expected[1][order], ROUNDING)


@pytest.mark.parametrize("name", ["mh1", "mp"])
def test_it_shares_no_memory_with_the_exact_network(name: str) -> None:
    network = exact_network(name)
    lowered = LoweredNetwork(network)
    owned = {tensor.data_ptr() for tensor in [*lowered.parameters(), *lowered.buffers()]}
    given = {tensor.data_ptr() for tensor in [*network.parameters(), *network.buffers()]}
    given |= {tensor.data_ptr() for tensor in network.constants.values()}
    assert not (owned & given) - {0}


def test_its_precision_leaves_the_exact_network_alone() -> None:
    network = exact_network("mp")
    LoweredNetwork(network).to(torch.float32)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float64}


def random_structures(count: int) -> Iterator[Atoms]:
    """Clusters and crystals of up to 12 atoms, no denser than diamond, no bond shorter than H2's.

    Beyond that, in structures that `choose_tables` does not look at, the forces of a network with
    random weights may be 1.2 times (contacts of 0.7 A) to 20 times (four times as dense) as wrong.
    """
    rng = np.random.default_rng(5)
    while count:
        n = int(rng.integers(1, 13))
        box = rng.uniform(max(2.5, (n * VOLUME) ** (1 / 3)), 6.0)
        symbols = rng.choice(list(structures.ELEMENTS), n)
        atoms = Atoms(symbols, rng.uniform(0, box, (n, 3)), cell=np.eye(3) * box)
        atoms.pbc = rng.integers(0, 2, 3).astype(bool)
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(n, 1)]
        if n == 1 or distances.min() > SHORTEST_BOND:
            count -= 1
            yield atoms


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mh1", "mp"])
def test_random_structures(name: str) -> None:
    network = exact_network(name)
    lowered = LoweredNetwork(network, choose_tables(network, TABLE_ERROR).tables)
    for atoms in random_structures(N_RANDOM):
        graph = graph_from_atoms(atoms, structures.ELEMENTS, 4.0)
        assert_same(network, lowered, graph, TABLE_ERROR)
