"""What every library of kernels has: products with constant matrices, sums over edges, memory."""

from __future__ import annotations

import ctypes
import gc
import math
from pathlib import Path
from typing import Any

import pytest
import structures
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from models import random_model
from threads import threads
from tolerances import ROUNDING, SINGLE_PRECISION, assert_close

from mhff.atoms import graph_from_atoms
from mhff.files import kernel_folder
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.ops.cpu.build import build
from mhff.ops.cpu.library import load, release_memory_with
from mhff.ops.pairs import reference_operators
from mhff_deploy.kernels.cpu import CppKernels
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.networks import tabulate_radial

MIN_ROWS_OF_TILES = 24
"""As in `multiply.h`."""
MANY_THREADS = 9
"""More than there are copies of a gradient: a convolution's adjoint then walks along senders."""


@pytest.fixture(
    scope="module",
    params=[("native", torch.float32), ("native", torch.float64), ("x86-64-v3", torch.float32)],
)
def kernels(request: pytest.FixtureRequest) -> tuple[Any, torch.dtype]:
    """Operators of a library without parts of a model, and their precision."""
    march, dtype = request.param
    return load(*build({}, dtype, kernel_folder(), march), {}), dtype


def randoms(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@given(
    rows=st.sampled_from([0, 1, 5, 6, 23, 241, 500]),
    k=st.integers(1, 130),
    n=st.integers(1, 130),
    n_threads=st.integers(1, 2),
)
@example(rows=500, k=64, n=64, n_threads=2)
@example(rows=241, k=128, n=129, n_threads=1)
@settings(deadline=None)
def test_products_with_constant_matrices(
    kernels: tuple[Any, torch.dtype], rows: int, k: int, n: int, n_threads: int
) -> None:
    operators, dtype = kernels
    x, matrix = randoms(rows, k).to(dtype), randoms(k, n).to(dtype)
    with threads(n_threads):
        found = operators["multiply"](x, operators["multiply_pack"](matrix), n)
    assert found.shape == (rows, n)
    tolerance = ROUNDING if dtype == torch.float64 else SINGLE_PRECISION
    assert_close(found.double(), x.double() @ matrix.double(), tolerance)


@pytest.mark.parametrize(("k", "n"), [(128, 128), (160, 512), (512, 128)])
@pytest.mark.parametrize("rows", [1, 23, 24, 33, 48, 256, 290])
def test_products_in_tiles_are_as_exact_as_others(
    kernels: tuple[Any, torch.dtype], rows: int, k: int, n: int
) -> None:
    """Where the processor has tiles, packed matrices of this size have them beside panels."""
    operators, dtype = kernels
    x, matrix = randoms(rows, k).to(dtype), randoms(k, n).to(dtype) / k**0.5
    exact = x.double() @ matrix.double()
    panels = operators["multiply_pack_in_panels"](matrix)
    packed = operators["multiply_pack"](matrix)
    assert torch.equal(panels, packed[: k * n])
    expected = operators["multiply"](x, panels, n)
    found = operators["multiply"](x, packed, n)
    if rows < MIN_ROWS_OF_TILES or len(packed) == len(panels):
        assert torch.equal(found, expected)
    error = (found.double() - exact).square().mean()
    assert error <= 1.5 * (expected.double() - exact).square().mean()
    with threads(2):
        assert torch.equal(operators["multiply"](x, packed, n), found)


def test_products_in_tiles_keep_all_magnitudes(kernels: tuple[Any, torch.dtype]) -> None:
    operators, dtype = kernels
    x = torch.zeros(40, 128, dtype=dtype)
    x[:, 0] = 2.0 ** torch.arange(-80, 80, 4)
    matrix = randoms(128, 128).to(dtype)
    found = operators["multiply"](x, operators["multiply_pack"](matrix), 128)
    assert_close(found / x[:, :1], matrix[:1].expand(40, -1), SINGLE_PRECISION)
    x[7, 3] = torch.nan
    found = operators["multiply"](x, operators["multiply_pack"](matrix), 128)
    assert found.isnan().all(1).tolist() == [row == 7 for row in range(40)]


def test_rows_of_a_product_may_lie_apart(kernels: tuple[Any, torch.dtype]) -> None:
    operators, dtype = kernels
    x, matrix = randoms(9, 30).to(dtype), randoms(10, 24).to(dtype)
    packed = operators["multiply_pack"](matrix)
    for part in (x[:, :10], x[::2, 10:20]):
        assert torch.equal(
            operators["multiply"](part, packed, 24),
            operators["multiply"](part.contiguous(), packed, 24),
        )
    with pytest.raises(RuntimeError, match="expected rows without gaps"):
        operators["multiply"](x[:, ::3], packed, 24)
    with pytest.raises(RuntimeError, match=r"expected \d+ numbers in an argument, got \d+"):
        operators["multiply"](x[:, :10], packed[:-1], 24)


@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_sums_over_edges(kernels: tuple[Any, torch.dtype], shape: tuple[int, ...]) -> None:
    operators, dtype = kernels
    atoms = torch.tensor([3, 0, 3, 1, 0, 3])
    order, begin = operators["sort_edges"](atoms, 5)
    values = randoms(6, *shape).to(dtype).requires_grad_()
    sums = operators["sum_edges"](values, atoms, order, begin)
    expected = torch.zeros(5, *shape, dtype=dtype).index_add(0, atoms, values.detach())
    assert torch.equal(sums.detach(), expected)
    gradient = randoms(5, *shape).to(dtype)
    (found,) = torch.autograd.grad(sums, values, gradient)
    assert torch.equal(found, gradient[atoms])


def test_sums_over_no_edges_and_no_atoms(kernels: tuple[Any, torch.dtype]) -> None:
    operators, dtype = kernels
    none = torch.zeros(0, dtype=torch.int64)
    for n_atoms in (0, 4):
        order, begin = operators["sort_edges"](none, n_atoms)
        assert torch.equal(
            operators["sum_edges"](torch.zeros(0, 2, dtype=dtype), none, order, begin),
            torch.zeros(n_atoms, 2, dtype=dtype),
        )


@pytest.mark.parametrize("n_pairs", [0, 1, 5, 3001])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_operators_around_a_program_are_those_of_plain_torch(
    kernels: tuple[Any, torch.dtype], n_pairs: int, n_threads: int
) -> None:
    operators, dtype = kernels
    reference = reference_operators(dtype)
    generator = torch.Generator().manual_seed(n_pairs)
    ends = torch.randint(9, (2, n_pairs), generator=generator, dtype=torch.int32)
    rows = torch.randperm(9, generator=generator)
    positions = randoms(n_pairs % 7, 3)
    before = positions + 0.1 * randoms(3)
    pairs = (randoms(n_pairs, 3), *ends, rows, positions, before)
    results = (randoms(n_pairs, 3).to(dtype), randoms(6, 4), randoms(6, 4), 1.7)
    with threads(n_threads):
        found = operators["edges_of_pairs"](*pairs), operators["results_of_pairs"](*results)
    vectors, index, largest = found[0]
    expected = reference.edges(*pairs)
    assert torch.equal(vectors, expected[0])
    assert torch.equal(index, expected[1])
    assert_close(largest, expected[2], ROUNDING)
    forces, energies, totals = found[1]
    expected = reference.results(*results)
    assert_close(forces, expected[0], ROUNDING)
    assert_close(energies, expected[1], ROUNDING)
    assert_close(totals[0], expected[2][0], ROUNDING)
    assert totals.isfinite().all()


@pytest.mark.parametrize(
    ("n_points", "n_centres"), [(0, 0), (7, 0), (1, 1), (900, 700), (900, 900)]
)
@pytest.mark.parametrize("longest", [0, 2])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_pairs_are_counted_as_by_comparing_all(
    kernels: tuple[Any, torch.dtype], n_points: int, n_centres: int, longest: int, n_threads: int
) -> None:
    operators, dtype = kernels
    points = randoms(n_points, 3)
    points[:, longest] *= 5
    distances = torch.linalg.vector_norm(points[:n_centres, None] - points, dim=2)
    expected = int((distances < 0.7).sum()) - n_centres
    assert n_points < 2 or not n_centres or expected
    with threads(n_threads):
        for call in (operators["count_pairs"], reference_operators(dtype).count):
            assert call(points, n_centres, 0.7).tolist() == [expected]


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_position_that_is_not_a_number_shows_in_the_displacement(
    kernels: tuple[Any, torch.dtype], place: int
) -> None:
    operators, dtype = kernels
    none = torch.zeros(0, dtype=torch.int32)
    positions = randoms(3, 3)
    positions.view(-1)[place] = math.nan
    pairs = (randoms(0, 3), none, none, torch.arange(3), positions, randoms(3, 3))
    for call in (operators["edges_of_pairs"], reference_operators(dtype).edges):
        assert call(*pairs)[2].isnan()


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_one_gradient_that_is_not_finite_shows_in_the_total(
    kernels: tuple[Any, torch.dtype], wrong: float
) -> None:
    operators, dtype = kernels
    for place in (0, 40, 99 * 3 - 1):
        gradients = randoms(99, 3).to(dtype)
        gradients.view(-1)[place] = wrong
        results = (gradients, randoms(6, 2), randoms(6, 2), 1.0)
        for call in (operators["results_of_pairs"], reference_operators(dtype).results):
            totals = call(*results)[2]
            assert totals[0].isfinite()
            assert not totals[1].isfinite()


def resident() -> int:
    """Resident memory of this process, bytes, without garbage of Python and of the C library."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return 1024 * int(line.split()[1])


@pytest.mark.slow
def test_memory_is_kept_until_it_is_released(kernels: tuple[Any, torch.dtype]) -> None:
    operators, dtype = kernels
    matrix = operators["multiply_pack"](torch.eye(16, dtype=dtype))
    x, size = torch.ones(1 << 20, 16, dtype=dtype), (16 << 20) * dtype.itemsize
    operators["release_memory"]()
    before = resident()
    first = operators["multiply"](x, matrix, 16)
    address = first.data_ptr()
    assert address % 64 == 0
    del first
    gc.collect()
    assert resident() - before > 0.9 * size
    again = operators["multiply"](x[: 15 << 16], matrix, 16)  # a little smaller: the same memory
    assert again.data_ptr() == address
    del again
    operators["release_memory"]()
    assert resident() - before < 0.2 * size


@pytest.mark.slow
def test_memory_of_other_sizes_is_not_kept_for_ever(kernels: tuple[Any, torch.dtype]) -> None:
    operators, dtype = kernels
    matrix = operators["multiply_pack"](torch.eye(16, dtype=dtype))
    operators["release_memory"]()
    before, largest = resident(), (16 << 20) * dtype.itemsize
    for rows in range(1 << 19, 1 << 20, 1 << 15):
        operators["multiply"](torch.ones(rows, 16, dtype=dtype), matrix, 16)
    assert resident() - before < 3 * largest  # inputs, results, and what is kept
    operators["release_memory"]()


@pytest.mark.parametrize("name", ["mh1", "mp"])
def test_more_threads_than_copies_of_gradients(name: str) -> None:
    network = (
        random_model(name, n_channels=8, n_edge_channels=8).network.double().requires_grad_(False)
    )
    tables = tabulate_radial(network, 64)
    kernels = CppKernels(network, tables, torch.float64, kernel_folder())
    kernels.load()
    lowered = LoweredNetwork(network, tables, kernels)
    for make in (
        structures.rattled_bulk,
        structures.slab,
        structures.one_atom,
        structures.no_atoms,
    ):
        graph = graph_from_atoms(make(), network.config.elements, 4.0)
        weights = torch.ones(graph.n_local, 3, dtype=torch.float64)
        arguments = (lowered, graph, weights)
        expected = energies_and_edge_gradients(*arguments)
        with threads(MANY_THREADS):
            found = energies_and_edge_gradients(*arguments)
        for right, value in zip(expected, found, strict=True):
            assert_close(value, right, ROUNDING)


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=16))
@settings(deadline=None, max_examples=30)
def test_kept_memory_is_used_once_at_a_time(
    kernels: tuple[Any, torch.dtype], results: list[tuple[int, bool]]
) -> None:
    """Results of any size, some of which stay, keep their numbers."""
    operators, dtype = kernels
    matrix = operators["multiply_pack"](torch.eye(64, dtype=dtype))
    kept: dict[int, torch.Tensor] = {}
    for number, (size, stays) in enumerate(results):
        x = torch.full((size << 8, 64), float(number), dtype=dtype)
        result = operators["multiply"](x, matrix, 64)
        assert bool((result == number).all())
        if stays:
            kept[number] = result
    for number, result in kept.items():
        assert bool((result == number).all())


class Owner:
    """What stands for a program."""


@pytest.mark.slow
def test_memory_is_released_with_its_last_user(kernels: tuple[Any, torch.dtype]) -> None:
    operators, dtype = kernels
    namespace = str(operators["multiply"]).split(".")[0]
    matrix = operators["multiply_pack"](torch.eye(16, dtype=dtype))
    operators["release_memory"]()
    first, second = Owner(), Owner()
    for owner in (first, second):
        release_memory_with(owner, namespace)
    before, size = resident(), (16 << 20) * dtype.itemsize
    operators["multiply"](torch.ones(1 << 20, 16, dtype=dtype), matrix, 16)
    del first, owner
    gc.collect()
    assert resident() - before > 0.9 * size
    del second
    gc.collect()
    assert resident() - before < 0.2 * size
