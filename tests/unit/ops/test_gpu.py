"""Kernels in Triton, without a GPU: interpreted, compiled for a GPU, kept by torch.export."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from models import random_model
from tolerances import Tolerance
from torch.fx.experimental import _config as fx_config

from mhff import MHFFError
from mhff.model.coupling import convolution_coupling, convolution_paths, product_basis
from mhff.ops.gpu import module as module_of_code
from mhff.ops.gpu.contraction_code import ContractionCode
from mhff.ops.gpu.convolution_code import convolution_code
from mhff.ops.gpu.edge_loop import EdgeLoop
from mhff.ops.gpu.module import REGISTERS, WARP_SIZE, load, tile_of
from mhff.ops.shapes import ContractionShape, ConvolutionShape
from mhff.ops.spline import Spline
from mhff.options import CompileOptions, Form
from mhff_bench.gpu_checks.kernels import CASES, SIZES, TINY
from mhff_bench.random_networks import RESIDUAL, random_network
from mhff_deploy.compiling import lower as lower_module
from mhff_deploy.compiling.build import complete
from mhff_deploy.compiling.lower import lower
from mhff_deploy.compiling.recipe import sources_of, take_constants
from mhff_deploy.compiling.trace import example_inputs, trace
from mhff_deploy.kernels.gpu import TritonKernels
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.lowering.reference import TorchKernels
from mhff_deploy.radial.networks import tabulate_radial

DOUBLE, SINGLE = Tolerance(1e-12, 0.0), Tolerance(1e-5, 0.0)
"""Differences of kernels from plain torch in float64, relative to the largest value."""
NUMBERS = ("n_local", "n_all", "n_edges", "n_species", "n_atoms")
INTEGERS = {
    "edge_index": "*i64",
    "species": "*i64",
    "table_of": "*i64",
    "order": "*i32",
    "begin": "*i32",
}


OPERATORS = [
    "geometry",
    "convolution",
    "contraction",
    "convolution",
    "contraction",
    "contraction_adjoint",
    "convolution_adjoint",
    "contraction_adjoint",
    "convolution_adjoint_of_edges",
    "geometry_adjoint",
]
"""What a network of two layers calls; nothing needs the gradient of the first layer's features."""


def run(*arguments: str, **environment: str) -> str:
    """Output of another Python process."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "dtype"), [*((case, "float64") for case in CASES), ("l_max 3, two tiles", "float32")]
)
def test_kernels_and_their_adjoints_are_those_of_plain_torch(case: str, dtype: str) -> None:
    differences = json.loads(
        run("-m", "mhff_bench.gpu_checks.kernels", case, dtype, TRITON_INTERPRET="1")
    )
    for size in SIZES.keys() - {"no atoms"}:  # of which there is nothing to compare but shapes
        assert f"d_sent 1, {size}" in differences
    tolerance = DOUBLE if dtype == "float64" else SINGLE
    assert {
        name: value for name, value in differences.items() if not value <= tolerance.relative
    } == {}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mh1", "mp", "density", "omol"])
def test_networks_with_kernels_are_those_in_plain_torch(architecture: str) -> None:
    structures = ("wire", "one atom", "no atoms")
    differences = json.loads(
        run(
            "-m",
            "mhff_bench.gpu_checks.networks",
            architecture,
            "float64",
            *structures,
            TRITON_INTERPRET="1",
        )
    )
    assert len(differences) == 2 * len(structures)
    assert {
        name: value for name, value in differences.items() if not value <= DOUBLE.relative
    } == {}


@pytest.mark.slow
def test_kernels_compile_for_a_gpu_and_their_threads_need_no_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    part = ConvolutionShape(convolution_paths(1, 2), convolution_coupling(1, 2), 128)
    basis = product_basis(2, 1, 2)
    contraction = ContractionShape(basis["monomials"], basis["rows"], 9, 128)
    for dtype, real in ((torch.float32, "fp32"), (torch.float64, "fp64")):
        convolution = load(
            convolution_code(EdgeLoop(part, Spline(0.4, 6.0, 64), dtype, REGISTERS)), tmp_path
        )
        product = load(ContractionCode(contraction, True, dtype).code(), tmp_path)
        kernels = [convolution.forward, convolution.adjoint, convolution.adjoint_of_edges]
        for kernel in [*kernels, product.forward, product.adjoint]:
            compiled = compile_for_hopper(kernel, real)
            assert compiled.metadata.shared == 0, f"{kernel.__name__}, {real}"
            assert "v4.b32" in compiled.asm["ptx"] or real == "fp64"


def compile_for_hopper(kernel: Any, real: str) -> Any:
    """Machine code for an H100, which Triton makes on any machine."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature = {
        name: "i32" if name in NUMBERS else INTEGERS.get(name, f"*{real}")
        for name in kernel.arg_names
    }
    aligned = {
        (i,): [["tt.divisibility", 16]]
        for i, kind in enumerate(signature.values())
        if kind.startswith("*")
    }
    source = ASTSource(fn=kernel, signature=signature, constexprs={}, attrs=aligned)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 1})


@pytest.fixture
def hopper() -> Iterator[None]:
    """A GPU, as far as torch's look at what kernels write to needs one."""
    import triton
    from triton.backends.compiler import GPUTarget

    class Driver:
        def get_current_target(self) -> GPUTarget:
            return GPUTarget("cuda", 90, 32)

    triton.runtime.driver.set_active(Driver())
    yield
    triton.runtime.driver._active = None


@pytest.mark.slow
def test_export_keeps_the_operators_and_a_compiler_finds_the_kernels(
    hopper: None, tmp_path: Path
) -> None:
    network = random_network(**(TINY | RESIDUAL)).double().requires_grad_(False)
    tables = tabulate_radial(network, 24)
    kernels = TritonKernels(network, tables, torch.float64, torch.device("cpu"), tmp_path)
    program = trace(LoweredNetwork(network, tables, kernels))
    assert operators(program.graph) == OPERATORS
    example = example_inputs(len(network.config.heads), torch.float64, torch.device("cpu"))
    edges, atoms, local, plan = (
        torch.export.Dim(name, min=0) for name in ("n_edges", "n_all", "n_local", "n_plan")
    )
    shapes = ({0: edges}, {1: edges}, {0: atoms}, {0: local}, {0: plan}, {0: atoms})
    with fx_config.patch(use_duck_shape=False):
        exported = torch.export.export(program, example, dynamic_shapes=shapes)
    assert operators(exported.graph) == OPERATORS
    inputs = tuple(
        node.meta["val"]
        for node in exported.graph.nodes
        if node.name in exported.graph_signature.user_inputs
    )
    graph_module, _ = torch._functorch.aot_autograd.aot_export_module(
        exported.module(), inputs, trace_joint=False
    )
    kernels = [
        node for node in graph_module.graph.nodes if "triton_kernel_wrapper" in str(node.target)
    ]
    written = Counter(tuple(node.kwargs["tensors_to_clone"]) for node in kernels)
    assert written == {
        ("harmonics", "r"): 1,
        ("messages",): 2,
        ("products",): 2,
        ("d_features",): 2,
        ("d_features", "d_harmonics", "d_r"): 1,
        ("d_harmonics", "d_r"): 1,
        ("d_vectors",): 1,
    }


@pytest.fixture
def memoryless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device without memory stands for a GPU: a constant made on the CPU would stay there."""
    monkeypatch.setattr(lower_module, "resolve_device", lambda name: torch.device("meta"))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mh1", "mp"])
def test_a_model_is_lowered_to_kernels_and_nothing_of_its_program_is_elsewhere(
    architecture: str, memoryless: None, tmp_path: Path
) -> None:
    options = complete(CompileOptions(elements=("O", "Mg"), table_error=1e-3))
    lowered = lower(random_model(architecture), options, tmp_path)
    assert isinstance(lowered.network.kernels, TritonKernels)
    assert lowered.n_intervals > 0
    program = trace(lowered.network)
    take_constants(program, sources_of(lowered.network, None))
    assert operators(program.graph) == OPERATORS
    for node in program.graph.nodes:
        values = node.meta.get(
            "val", getattr(program, node.target) if node.op == "get_attr" else None
        )
        for value in values if isinstance(values, (tuple, list)) else [values]:
            assert not isinstance(value, torch.Tensor) or value.device.type == "meta", node.name


def test_a_script_for_a_gpu_and_exact_programs_keep_plain_torch(
    memoryless: None, tmp_path: Path
) -> None:
    said: list[str] = []
    for table_error, form in ((1e-3, Form.TORCHSCRIPT), (0.0, Form.AOTI)):
        options = complete(CompileOptions(table_error=table_error, form=form))
        lowered = lower(random_model("mp"), options, tmp_path, said.append)
        assert isinstance(lowered.network.kernels, TorchKernels)
        assert lowered.n_intervals == 0
    assert "TorchScript cannot hold kernels for GPUs" in said[0]
    assert "kernels for GPUs need tables and there are none, as asked" in said[1]


def operators(graph: torch.fx.Graph) -> list[str]:
    """Names of mhff's operators in a graph, in order."""
    targets = [
        str(node.target) for node in graph.nodes if str(node.target).startswith("mhff_triton")
    ]
    return [target.split(".")[1] for target in targets]


@given(
    n_channels=st.integers(1, 2048),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    registers=st.sampled_from([1, 2, 4, 8]),
)
def test_tiles_fill_registers_and_waste_no_lanes(
    n_channels: int, dtype: torch.dtype, registers: int
) -> None:
    tile = tile_of(registers, n_channels, dtype)
    largest = WARP_SIZE * registers * 4 // dtype.itemsize
    assert tile & (tile - 1) == 0, "a power of 2"
    assert tile <= largest
    assert tile < 2 * n_channels
    if n_channels <= largest:
        assert tile >= min(n_channels, largest // 2 + 1), "one tile, unless it would not fit"
    if tile > WARP_SIZE and n_channels > largest:
        assert n_channels % tile == 0


def test_without_triton_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module_of_code, "find_spec", lambda name: None)
    with pytest.raises(
        MHFFError, match=r"no kernels for a GPU .* triton is not installed \(pip install triton\)"
    ):
        load("", tmp_path)


@pytest.mark.slow
def test_nothing_imports_triton_before_kernels_are_made() -> None:
    imported = run(
        "-c",
        "import sys, mhff_deploy.kernels.gpu; print('triton' in sys.modules, 'triton.language' in "
        "sys.modules)",
    )
    assert imported.split() == ["False", "False"]
