"""The lowered network: tables, folded maps and C++ kernels give the numbers of the exact one."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structures
import torch
from ase import Atoms
from ase.data import chemical_symbols
from models import CONFIGS, random_model
from tolerances import FINITE_DIFFERENCES, ROUNDING, assert_close

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.files import kernel_folder
from mhff.graph import Graph
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.mace import MACE
from mhff.ops.cpu import build
from mhff_deploy.kernels.cpu import NativeKernels
from mhff_deploy.lowering.accuracy import check_graphs, force_error, lower_to_error
from mhff_deploy.lowering.lower import lower, select_elements, why_no_kernels, why_no_tables
from mhff_deploy.lowering.network import LoweredMACE
from mhff_deploy.lowering.radial import R_MIN
from mhff_deploy.lowering.tables import interpolate, tabulate

TABLE_ERROR = 1e-9
"""eV/A, asked of the tables in these tests."""
RANDOM_STRUCTURES = 200
STRUCTURES = (
    structures.rattled_bulk,
    structures.triclinic,
    structures.slab,
    structures.water_cluster,
    structures.close_contacts,
    structures.one_atom,
    structures.far_apart,
    structures.no_atoms,
)
WITH_KERNELS = ("mh1", "mp", "density", "omol")
"""Architectures that kernels are compiled for here, a few seconds each where the cache does not
have them.
"""


def exact(name: str, **changes: Any) -> MACE:
    """A network with numbers of channels that kernels take."""
    return (
        random_model(name, n_channels=8, n_edge_channels=8, **changes)
        .network.double()
        .requires_grad_(False)
    )


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request: pytest.FixtureRequest) -> tuple[MACE, LoweredMACE]:
    """A network and what it is lowered to."""
    network = exact(request.param)
    return network, lower_to_error(network, TABLE_ERROR).network


def results(
    network: MACE | LoweredMACE, graph: Graph, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    weights = torch.rand(graph.n_local, 3, generator=generator, dtype=torch.float64)
    graph = graph.to("cpu", dtype)
    return energies_and_edge_gradients(network, graph, weights)


def assert_equal_to_tables(
    network: MACE,
    lowered: LoweredMACE,
    graph: Graph,
    error: float,
    dtype: torch.dtype = torch.float64,
    energy: float = 1e-9,
) -> None:
    """Forces to ten times an error, eV/A, times max(1, largest force); energies to `energy`, eV per
    atom, times the same.
    """
    right, found = results(network, graph), results(lowered, graph, dtype)
    scale = max(1.0, float(right[1].abs().max())) if right[1].numel() else 1.0
    assert_close(found[0], right[0], ROUNDING._replace(absolute=energy * scale, relative=0))
    assert_close(
        found[1].double(), right[1], ROUNDING._replace(absolute=10 * error * scale, relative=0)
    )


@pytest.mark.parametrize("make", STRUCTURES)
def test_the_lowered_network_equals_the_exact_one(pair: tuple[MACE, LoweredMACE], make) -> None:  # type: ignore[no-untyped-def]
    network, lowered = pair
    assert_equal_to_tables(
        network, lowered, graph_from_atoms(make(), network.config.elements, 4.0), TABLE_ERROR
    )


JUMPING = {"apply_cutoff": True}
"""What makes the non-linear block's radial functions jump at the cutoff."""
EXACT = {torch.float64: 1e-11, torch.float32: 2e-6}
"""Ten times this, eV/A and eV: rounding of a lowered network without tables."""


def assert_exact(network: MACE, lowered: LoweredMACE, dtype: torch.dtype) -> None:
    for make in STRUCTURES:
        graph = graph_from_atoms(make(), network.config.elements, 4.0)
        assert_equal_to_tables(network, lowered, graph, EXACT[dtype], dtype, 10 * EXACT[dtype])


@pytest.mark.parametrize(("name", "changes"), [*((name, {}) for name in CONFIGS), ("mh1", JUMPING)])
def test_without_tables_the_lowered_network_is_exact(name: str, changes: dict[str, Any]) -> None:
    network = exact(name, **changes)
    assert_exact(network, LoweredMACE(network, 0), torch.float64)


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
    network = exact(name, **changes)
    lowered = LoweredMACE(network, 0)
    kernels = NativeKernels(lowered, network, dtype, kernel_folder())
    program = copy.deepcopy(lowered).to(dtype)
    program.kernels = kernels
    assert_exact(network, program, dtype)


def random_structures(count: int) -> Iterator[Atoms]:
    """Clusters and crystals of all sizes up to 12 atoms; no two atoms closer than 0.5 A."""
    rng = np.random.default_rng(5)
    while count:
        n = int(rng.integers(1, 13))
        box = rng.uniform(2.5, 6.0)
        atoms = Atoms(
            rng.choice(list(structures.ELEMENTS), n),
            rng.uniform(0, box, (n, 3)),
            cell=np.eye(3) * box,
        )
        atoms.pbc = rng.integers(0, 2, 3).astype(bool)
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(n, 1)]
        if n == 1 or distances.min() > 0.5:
            count -= 1
            yield atoms


@pytest.mark.parametrize("name", ["mh1", "mp"])
def test_random_structures(name: str) -> None:
    network = exact(name)
    lowered = lower_to_error(network, TABLE_ERROR).network
    for atoms in random_structures(RANDOM_STRUCTURES):
        assert_equal_to_tables(
            network, lowered, graph_from_atoms(atoms, structures.ELEMENTS, 4.0), TABLE_ERROR
        )


@pytest.mark.parametrize(
    ("dtype", "error", "energy"), [(torch.float64, TABLE_ERROR, 1e-9), (torch.float32, 1e-5, 1e-5)]
)
@pytest.mark.parametrize("name", WITH_KERNELS)
def test_kernels_equal_the_exact_network(
    name: str, dtype: torch.dtype, error: float, energy: float
) -> None:
    network = exact(name)
    lowered = lower_to_error(network, TABLE_ERROR).network
    kernels = NativeKernels(lowered, network, dtype, kernel_folder())
    program = copy.deepcopy(lowered).to(dtype)
    program.kernels = kernels
    for make in STRUCTURES:
        graph = graph_from_atoms(make(), network.config.elements, 4.0)
        assert_equal_to_tables(network, program, graph, error, dtype, energy)


def test_kernels_for_any_processor_with_avx2() -> None:
    network = exact("mh1")
    lowered = lower_to_error(network, TABLE_ERROR).network
    lowered.kernels = NativeKernels(lowered, network, torch.float64, kernel_folder(), "x86-64-v3")
    for make in STRUCTURES:
        graph = graph_from_atoms(make(), network.config.elements, 4.0)
        assert_equal_to_tables(network, lowered, graph, TABLE_ERROR)


@pytest.mark.parametrize("threads", [1, 2])
def test_kernels_are_deterministic(threads: int) -> None:
    network = exact("mh1")
    lowered = LoweredMACE(network, 64)
    lowered.kernels = NativeKernels(lowered, network, torch.float64, kernel_folder())
    graph = graph_from_atoms(structures.rattled_bulk().repeat(2), network.config.elements, 4.0)
    torch.set_num_threads(threads)
    try:
        first, second = results(lowered, graph), results(lowered, graph)
    finally:
        torch.set_num_threads(1)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_edges_in_any_order() -> None:
    network = exact("mp")
    lowered = lower_to_error(network, TABLE_ERROR).network
    lowered.kernels = NativeKernels(lowered, network, torch.float64, kernel_folder())
    graph = graph_from_atoms(structures.slab(), network.config.elements, 4.0)
    order = torch.randperm(graph.edge_index.shape[1], generator=torch.Generator().manual_seed(0))
    shuffled = Graph(
        graph.edge_vectors[order],
        graph.edge_index[:, order],
        graph.species,
        graph.structure,
        graph.cells,
        graph.state,
    )
    expected, found = results(lowered, graph), results(lowered, shuffled)
    assert_close(found[0], expected[0], ROUNDING)
    assert_close(found[1], expected[1][order], ROUNDING)


def test_coarser_tables_are_worse() -> None:
    """What is measured is the tables' error, and it falls fast."""
    network = exact("mp")
    graphs = list(check_graphs(network))
    errors = [
        max(force_error(network, LoweredMACE(network, n), graph) for graph in graphs)
        for n in (32, 64, 128)
    ]
    assert errors[0] > 8 * errors[1] > 64 * errors[2] > 0


def test_an_error_that_no_table_keeps_is_refused() -> None:
    with pytest.raises(
        MHFFError,
        match="no table of up to 2048 intervals keeps the forces to 1e-20 eV/A; ask for a larger",
    ):
        lower_to_error(exact("mp"), 1e-20)


def functions(r: torch.Tensor) -> torch.Tensor:
    """Two tables of two functions that end smoothly at 5 A."""
    end = (1 - r / 5) ** 4
    return torch.stack(
        [torch.stack([torch.sin(k * r) * end, torch.cos(k * r) * end], 1) for k in (1.0, 3.0)]
    )


def test_tables_and_their_slopes() -> None:
    table = tabulate(functions, R_MIN, 5.0, 96)
    r = torch.linspace(R_MIN, 5.0, 1000, dtype=torch.float64).requires_grad_()
    which = torch.ones(1000, dtype=torch.int64)
    for found, right in ((interpolate(table, which, r), functions(r)[1]),):
        assert_close(found.detach(), right.detach(), FINITE_DIFFERENCES)
        (slope,) = torch.autograd.grad(found.sum(), r)
        (expected,) = torch.autograd.grad(right.sum(), r)
        assert_close(slope, expected, FINITE_DIFFERENCES._replace(absolute=1e-6))
    assert (
        interpolate(table, which[:1], torch.tensor([5.0], dtype=torch.float64)).abs().max() < 1e-14
    )


def test_kernels_live_in_the_users_cache() -> None:
    assert kernel_folder().parts[-2:] == ("mhff", "kernels")
    assert isinstance(kernel_folder(), Path)


def test_a_compiler_that_fails_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "FLAGS", ("-std=c++20", "--no-such-flag"))
    with pytest.raises(
        MHFFError, match=r"the C\+\+ compiler could not make the kernels .*no-such-flag"
    ) as raised:
        lower(
            random_model("mp", n_channels=8),
            None,
            "float64",
            torch.device("cpu"),
            1e-6,
            "native",
            tmp_path,
        )
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        MHFFError,
        match=r"cannot write kernels to '.*kernels' \(Not a directory\); set XDG_CACHE_HOME",
    ):
        lower(
            random_model("mp", n_channels=8),
            None,
            "float64",
            torch.device("cpu"),
            1e-6,
            "native",
            tmp_path / "file" / "kernels",
        )


def test_no_elements_are_refused() -> None:
    with pytest.raises(MHFFError, match="expected elements, got none: this model knows"):
        select_elements(random_model("mp"), [])


def test_why_a_model_gets_no_kernels() -> None:
    cpu = torch.device("cpu")
    assert why_no_kernels(exact("mp"), cpu) == ""
    assert "multiples of 8" in why_no_kernels(random_model("mp").network, cpu)
    gpu = torch.device("cuda")
    assert why_no_kernels(random_model("mp").network, gpu) == ""
    assert "TorchScript cannot hold kernels for GPUs" in why_no_kernels(
        exact("mp"), gpu, "torchscript"
    )
    assert "need tables and there are none, as asked" in why_no_kernels(
        exact("mp"), gpu, no_tables="as asked"
    )


def test_an_old_torch_gets_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.9.1+cu128")
    assert "torch 2.9.1+cu128 is older than 2.11" in why_no_kernels(
        exact("mp"), torch.device("cpu")
    )


def test_why_a_model_keeps_its_radial_networks() -> None:
    assert why_no_tables(exact("mp"), 1e-6) == ""
    assert why_no_tables(exact("mp"), 0) == "as asked"
    assert "do not end smoothly" in why_no_tables(exact("mh1", **JUMPING), 1e-6)
    many = exact("mh1", elements=chemical_symbols[1:90], n_radial=8, radial_mlp=(64, 64, 64))
    assert re.fullmatch(
        "because tables for 89 elements would take . GB; choose some with --elements",
        why_no_tables(many, 1e-6),
    )
