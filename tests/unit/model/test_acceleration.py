"""Kernels in place of plain torch in training: the same values and first and second derivatives."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import structures
import torch
import yaml
from labelled import E0S, write_data
from models import CONFIGS, random_network
from rich.console import Console
from threads import threads
from tolerances import ROUNDING, SINGLE_PRECISION, Tolerance, assert_close_to_scale

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.files import kernel_folder
from mhff.graph import collate
from mhff.model.acceleration import (
    convolution_shape,
    install,
    training_shapes,
    use_kernels,
)
from mhff.model.convolution import Convolution
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.mace import MACE
from mhff.ops.contraction import contract_sets
from mhff.ops.convolution import convolution
from mhff.ops.cpu import build as build_module
from mhff.ops.cpu.build import build
from mhff.ops.cpu.contraction import KernelContraction
from mhff.ops.cpu.convolution import KernelConvolution
from mhff.ops.cpu.library import load
from mhff.train.recorder import CHECKPOINT, Recorder
from mhff.train.run import Run
from mhff.train.settings import read_settings
from mhff.train.trainer import Trainer

NAMES = ("mh1", "mp", "three_layers", "density")
SINGLE = "mh1"
"""The architecture that is tested in float32, too."""
SIZES = {
    "ghosts": (3, 5, 17),
    "one atom": (1, 1, 4),
    "no edges": (2, 3, 0),
    "no atoms": (0, 0, 0),
    "many edges": (2, 40, 250),
}
"""Numbers of local atoms, of all atoms and of edges."""
MANY_THREADS = 9
"""More than there are copies of a gradient: scattering walks then follow the senders."""
CPU = torch.device("cpu")
OF_A_RUN = Tolerance(1e-7, 1e-7)
"""Weights after some steps of Adam, which divides small gradients by their own size."""


def small(name: str, **changes: Any) -> MACE:
    return random_network(**(CONFIGS[name] | {"n_channels": 8, "n_edge_channels": 8} | changes))


@pytest.fixture(scope="module")
def operators() -> Callable[[torch.dtype], Any]:
    """Kernels of all architectures in one library, because a compiler takes seconds to start."""
    parts = {
        f"{name}_{layer}": convolution_shape(network, layer, trained=True)
        for name in NAMES
        for network in [small(name)]
        for layer in range(network.config.n_layers)
    }

    def of_dtype(dtype: torch.dtype) -> Any:
        chosen = {
            name: part
            for name, part in parts.items()
            if dtype == torch.float64 or name.startswith(SINGLE)
        }
        return load(*build(chosen, dtype, kernel_folder()), chosen)

    return of_dtype


def arguments(layer: Convolution, size: tuple[int, int, int]) -> list[Any]:
    """Features, harmonics, weights with gradients, then constants; edges in any order."""
    n_local, n_all, n_edges = size
    generator = torch.Generator().manual_seed(n_edges)
    n_harmonics, _, n_components = layer.coupling.shape

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    ends = [torch.randint(max(n, 1), (n_edges,), generator=generator) for n in (n_all, n_local)]
    edges = (random(n_edges, n_harmonics), random(n_edges, layer.n_paths, 8))
    return [
        random(n_all, n_components, 8),
        *edges,
        layer.coupling,
        layer.paths_to,
        torch.stack(ends),
        n_local,
    ]


def derivatives(function: Callable[..., torch.Tensor], given: list[Any]) -> list[torch.Tensor]:
    """Messages, their gradients and the gradients of these, with random cotangents."""
    generator = torch.Generator().manual_seed(1)

    def cotangent(value: torch.Tensor) -> torch.Tensor:
        return torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)

    messages = function(*given)
    gradient = cotangent(messages).requires_grad_()
    first = torch.autograd.grad(messages, given[:3], gradient, create_graph=True)
    second = torch.autograd.grad(first, [*given[:3], gradient], [cotangent(x) for x in first])
    return [messages.detach(), *(x.detach() for x in first), *second]


@pytest.mark.parametrize("n_threads", [1, 2, MANY_THREADS])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_all_derivatives(
    operators: Callable[..., Any],
    name: str,
    size: tuple[int, int, int],
    n_threads: int,
) -> None:
    network = small(name).double()
    for layer in range(network.config.n_layers):
        part = network.layers[layer].interaction.convolution
        kernel = KernelConvolution(operators(torch.float64), f"{name}_{layer}", torch.float64)
        given = arguments(part, size)
        with threads(n_threads):
            results = derivatives(kernel, given)
        for found, expected in zip(results, derivatives(convolution, given), strict=True):
            assert found.shape == expected.shape
            assert_close_to_scale(found, expected, ROUNDING)


def test_a_third_derivative_of_a_convolution_is_refused(operators: Callable[..., Any]) -> None:
    part = small("mh1").double().layers[1].interaction.convolution
    kernel = KernelConvolution(operators(torch.float64), "mh1_1", torch.float64)
    features, *others = arguments(part, (2, 3, 4))
    harmonics = others[0]
    value = kernel(features, *others).square().sum()
    (first,) = torch.autograd.grad(value, harmonics, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), harmonics, create_graph=True)
    with pytest.raises(MHFFError, match="two derivatives, and a third was asked for"):
        torch.autograd.grad(second.sum(), harmonics)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_finite_differences(
    operators: Callable[..., Any], name: str
) -> None:
    network = small(name).double()
    *inputs, coupling, paths_to, edge_index, n_local = arguments(
        network.layers[-1].interaction.convolution, (2, 3, 4)
    )
    kernel = KernelConvolution(
        operators(torch.float64), f"{name}_{network.config.n_layers - 1}", torch.float64
    )

    def function(*x: torch.Tensor) -> torch.Tensor:
        return kernel(*x, coupling, paths_to, edge_index, n_local)

    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


def test_strided_inputs(operators: Callable[..., Any]) -> None:
    part = small("mh1").double().layers[1].interaction.convolution
    given = arguments(part, (3, 5, 17))
    expected = convolution(*given).detach()
    given[:3] = [x.detach().transpose(0, 1).contiguous().transpose(0, 1) for x in given[:3]]
    given[5] = given[5].T.contiguous().T
    assert_close_to_scale(
        KernelConvolution(operators(torch.float64), "mh1_1", torch.float64)(*given),
        expected,
        ROUNDING,
    )


def loss_and_gradients(network: MACE) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """A loss of energies and forces, as in training, and its gradient by every weight."""
    graphs = [
        graph_from_atoms(make(), network.config.elements, 4.0)
        for make in (structures.slab, structures.one_atom)
    ]
    graph = collate(graphs).to("cpu", network.dtype)
    weights = torch.full((graph.n_local, 3), 0.4, dtype=torch.float64)
    energies, gradients = energies_and_edge_gradients(network, graph, weights, training=True)
    loss = energies.mean() + gradients.square().sum()
    loss.backward()
    return loss.detach(), {
        name: x.grad for name, x in network.named_parameters() if x.grad is not None
    }


BLOCKS: dict[str, dict[str, Any]] = {
    "mh1": {"l_max": 2},
    "mp": {"l_max": 2},
    "plain": {"l_max": 2, "hidden_lmax": 0},
    "density": {"l_max": 1, "hidden_lmax": 1},
    "three_layers": {"n_channels": 24},
}
"""All kinds of interactions and products, small enough to be compiled fast."""


@pytest.fixture(scope="module")
def trained() -> Callable[[str, torch.dtype], Mapping[str, Any]]:
    """Kernels of each of `BLOCKS`, in one library for each precision."""

    @cache
    def of_dtype(dtype: torch.dtype) -> Mapping[str, Any]:
        shapes = {
            f"{name}_{part}": shape
            for name, changes in BLOCKS.items()
            if dtype == torch.float64 or name == SINGLE
            for part, shape in training_shapes(small(name, **changes)).items()
        }
        return load(*build(shapes, dtype, kernel_folder()), shapes)

    def of_block(name: str, dtype: torch.dtype) -> Mapping[str, Any]:
        return {key.removeprefix(f"{name}_"): call for key, call in of_dtype(dtype).items()}

    return of_block


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [
        *((name, torch.float64, ROUNDING) for name in BLOCKS),
        (SINGLE, torch.float32, SINGLE_PRECISION),
    ],
)
def test_training_has_the_same_loss_and_gradients(
    trained: Callable[..., Any], name: str, dtype: torch.dtype, tolerance: Tolerance
) -> None:
    plain, network = (small(name, **BLOCKS[name]).to(dtype) for _ in range(2))
    install(network, trained(name, dtype))
    (expected, gradients), (found, ours) = loss_and_gradients(plain), loss_and_gradients(network)
    assert_close_to_scale(found, expected, tolerance)
    assert ours.keys() == gradients.keys()
    for parameter, gradient in gradients.items():
        assert_close_to_scale(ours[parameter], gradient, tolerance)


def test_a_network_gets_kernels_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small("mh1", l_max=1, edge_lmax=1)
    assert use_kernels(network, CPU, kernel_folder()) == ""
    for layer in network.layers:
        assert isinstance(layer.interaction.convolution.operator, KernelConvolution)
        assert isinstance(layer.product.operator, KernelContraction)
    monkeypatch.setattr(build_module, "_compile", partial(pytest.fail, "compiled again"))
    assert use_kernels(small("mh1", l_max=1, edge_lmax=1), CPU, kernel_folder()) == ""


def test_kernels_refuse_another_precision_than_their_own() -> None:
    network = small("mh1", l_max=1, edge_lmax=1)
    use_kernels(network, CPU, kernel_folder())
    with pytest.raises(
        MHFFError, match=r"made for torch\.float32, but it is now in torch\.float64"
    ):
        loss_and_gradients(network.double())


def test_why_a_network_gets_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = small("mh1")

    def reason(of: MACE = network, device: str = "cpu") -> str:
        return use_kernels(of, torch.device(device), tmp_path)

    for changes in ({"n_edge_channels": 4}, {"n_channels": 12}):
        assert (
            reason(small("mh1", **changes))
            == "because the model's numbers of channels are not multiples of 8"
        )
    assert reason(device="cuda") == "because kernels for training run on CPUs only, not on cuda"
    with monkeypatch.context() as patch:
        patch.setattr(build_module, "COMPILER", "no-such-compiler")
        assert (
            reason()
            == "because there is no C++ compiler (Debian: apt-get install no-such-compiler)"
        )
    with monkeypatch.context() as patch:
        patch.setattr(build_module, "FLAGS", ("-std=c++20", "--no-such-flag"))
        assert "because the C++ compiler could not make kernels (g++: " in reason()
    assert all(layer.interaction.convolution.operator is convolution for layer in network.layers)
    assert all(layer.product.operator is contract_sets for layer in network.layers)
    assert not list(tmp_path.iterdir())


def run(folder: Path, **changes: Any) -> tuple[Run, str]:
    """A finished tiny run, and what it printed."""
    for seed, head in enumerate(E0S):
        if not (folder / f"{head}.extxyz").exists():
            write_data(folder, head, 12, seed)
    architecture = {
        "distance_transform": "none",
        "n_channels": 8,
        "n_edge_channels": 8,
        "edge_lmax": 1,
        "l_max": 1,
        "r_max": 3.0,
    }
    content = {
        "model": architecture,
        "heads": {head: {"files": [f"{head}.extxyz"]} for head in E0S},
        "run": {"out": "run", "epochs": 2, "batch_size": 4, "dtype": "float64"} | changes,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    finished, screen = Run(read_settings(folder / "config.yaml")), io.StringIO()
    finished.train(Console(file=screen, width=1000))
    return finished, screen.getvalue()


def test_a_run_with_kernels_is_the_run_without(tmp_path: Path) -> None:
    fast, said = run(tmp_path)
    assert "the network runs in kernels made for this model" in said
    plain, said = run(tmp_path, kernels=False, out="plain")
    assert "the network runs in plain torch, as asked" in said
    assert fast.fingerprint() == plain.fingerprint()
    weights, expected = (
        torch.load(of.folder / CHECKPOINT, weights_only=True)["state"]["network"]
        for of in (fast, plain)
    )
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        assert_close_to_scale(weights[name], value, OF_A_RUN)


def interrupt_second_epoch(recorder: Recorder, trainer: Trainer) -> None:
    """A power cut."""
    if trainer.epoch == 1:
        raise InterruptedError


def test_a_run_without_kernels_continues_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "stepped", interrupt_second_epoch)
        with pytest.raises(InterruptedError):
            run(tmp_path, kernels=False)
    _, said = run(tmp_path, kernels=True)
    assert "continuing from" in said
    assert "the network runs in kernels" in said


def test_a_run_that_cannot_have_kernels_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "COMPILER", "no-such-compiler")
    _, said = run(tmp_path, epochs=1)
    assert said.count("the network runs in plain torch, because there is no C++ compiler") == 1
