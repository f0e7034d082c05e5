"""Times the kernels in Triton and whole programs on a GPU, against what memory and arithmetic allow.

    python benchmarks/gpu.py [--only kernels|programs] [--dtype float32|float64]

Prints tables as in `gpu.md`, which says what was measured where. Check first that the kernels are right there:
`python tests/triton_kernels.py "l_max 3, two tiles" float64 cuda` (every number should be below 1e-12).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from ase import Atoms
from ase.build import bulk

from mhff.bench.count import convolution, product
from mhff.bench.systems import DISPLACEMENT, LATTICE_CONSTANT, magnesia
from mhff.graph import graph_from_atoms
from mhff.heads import Head, Heads
from mhff.model.config import ModelConfig
from mhff.model.mace import MACE
from mhff.modelfile import Model
from mhff_deploy.build import build
from mhff_deploy.cuda import TritonKernels
from mhff_deploy.folders import kernel_folder
from mhff_deploy.kernels import Edges
from mhff_deploy.lowered import LoweredMACE
from mhff_deploy.radial import R_MIN
from mhff_deploy.runtime import load_artefact
from mhff_deploy.targets import AOTI

INTERVALS = {"float32": 128, "float64": 384}
"""Of tables, as the default errors of forces want them."""
HEADS = ("materials", "surfaces", "molecules")
SHAPES: dict[str, dict[str, Any]] = {
    "mp": {
        "n_channels": 128,
        "n_edge_channels": None,
        "interaction": "residual",
        "agnostic_product": False,
        "n_radial": 8,
        "distance_transform": "none",
        "apply_cutoff": True,
        "zbl": False,
        "avg_num_neighbors": 88.0,
    },
    "mh1": {},
}
"""Changes to the default configuration, which is that of mace-mh-1."""
RUNS = (("mp", 54), ("mp", 1000), ("mp", 10000), ("mh1", 216), ("mh1", 1000))
"""Shape and number of atoms."""


class Peak(NamedTuple):
    """What this GPU reaches, measured: bytes per second of a copy, multiply-adds per second of a matrix product."""

    memory: float
    arithmetic: float


class Work(NamedTuple):
    """A kernel: its call, its least traffic in bytes (every input and output once), its multiply-adds."""

    name: str
    call: Callable[[], Any]
    traffic: float
    multiply_adds: float


def main() -> None:
    """Measure what was asked for, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["kernels", "programs"], help="both if none is named")
    parser.add_argument("--dtype", choices=list(INTERVALS), default="float32")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks/gpu.py needs an NVIDIA GPU, and torch finds none here")
    peak = measure_peak(getattr(torch, arguments.dtype))
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {arguments.dtype}")
    print(f"copy {peak.memory / 1e12:.2f} TB/s, matrix product {peak.arithmetic / 1e12:.1f} T multiply-adds/s\n")
    for shape, n_atoms in RUNS:
        if arguments.only != "programs":
            report_kernels(shape, n_atoms, arguments.dtype, peak)
        if arguments.only != "kernels":
            report_program(shape, n_atoms, arguments.dtype)


def compile_for_gpu(model: Model, dtype: str) -> bytes:
    """The program that is measured: an AOTInductor package for this GPU, with the kernels of `mhff_deploy.cuda`."""
    content, _ = build(model, AOTI, elements=("O", "Mg"), device="cuda", dtype=dtype)
    return content


def report_program(shape: str, n_atoms: int, dtype: str) -> None:
    """Print the time of a step, energies and forces, and what it makes in a day of 1 fs steps."""
    model = random_model(shape)
    program = load_artefact(compile_for_gpu(model, dtype), "the program", device="cuda")
    vectors, edge_index, species = crystal_graph(
        n_atoms, ("O", "Mg"), model.r_max, getattr(torch, dtype), torch.device("cuda")
    )
    weights = torch.zeros(n_atoms, len(HEADS), dtype=torch.float64, device="cuda")
    weights[:, 0] = 1.0
    seconds = time(lambda: program.evaluate(vectors, edge_index, species, weights))
    nanoseconds = 86400 / seconds * 1e-6
    print(
        f"{shape:4} {n_atoms:6} atoms: {seconds * 1e3:8.3f} ms a step, {seconds / n_atoms * 1e6:7.3f} us per atom, ", end=""
    )
    print(f"{nanoseconds:.1f} ns/day; {torch.cuda.max_memory_allocated() / 1e9:.2f} GB\n")


def report_kernels(shape: str, n_atoms: int, dtype: str, peak: Peak) -> None:
    """Print each kernel's time beside the least that its traffic and its arithmetic take."""
    print(f"{shape}, {n_atoms} atoms: kernel | us | ns per atom | least by memory | least by arithmetic")
    for work in kernels(shape, n_atoms, dtype, torch.device("cuda")):
        seconds = time(work.call)
        least = work.traffic / peak.memory, work.multiply_adds / peak.arithmetic
        per_atom = " | ".join(f"{1e9 * value / n_atoms:9.2f}" for value in (seconds, *least))
        print(f"{work.name:32} | {seconds * 1e6:9.1f} | {per_atom}")
    print()


def kernels(shape: str, n_atoms: int, dtype: str, device: torch.device) -> Iterator[Work]:
    """Forward and adjoint kernels of a shape with inputs for a crystal."""
    network = random_model(shape, ("O", "Mg")).network.double().requires_grad_(False)
    config, real = network.config, getattr(torch, dtype)
    lowered = LoweredMACE(network, INTERVALS[dtype])
    made = TritonKernels(lowered, network, real, device, kernel_folder())
    vectors, edge_index, species = crystal_graph(n_atoms, config.elements, config.r_max, real, device)
    vectors.requires_grad_()
    n_edges = edge_index.shape[1]
    harmonics, r = made.geometry(vectors)
    yield work("geometry", lambda: made.geometry(vectors), [vectors], [harmonics, r])
    yield adjoint("geometry", [harmonics, r], [vectors], [vectors])
    yield work("sort", lambda: made.sort(edge_index[1], n_atoms), [edge_index[1]], [])
    order, begin = made.sort(edge_index[1], n_atoms)
    harmonics, r = harmonics.detach().requires_grad_(), r.detach().clamp(R_MIN, config.r_max).requires_grad_()
    edges = Edges(edge_index, harmonics, r, species, n_atoms, order, begin)
    for layer in range(config.n_layers):
        channels = config.edge_channels(layer)
        sent = torch.randn(n_atoms, (config.message_lmax(layer) + 1) ** 2, channels, dtype=real, device=device)
        sent.requires_grad_(layer > 0)
        messages = made.convolution(layer, sent, edges)
        read, wanted = [sent, harmonics, edge_index, r, made.tables[layer]], [harmonics, r, *[sent] * (layer > 0)]
        adds = n_edges * channels * convolution(config, layer)  # forward and adjoint: about a third and two thirds
        name = f"convolution {layer}"
        yield work(name, lambda: made.convolution(layer, sent, edges), read, [messages], adds / 3)  # noqa: B023
        yield adjoint(name, [messages], wanted, read, 2 * adds / 3)
        a = [
            torch.randn(n_atoms, 2 * l + 1, config.n_channels, dtype=real, device=device, requires_grad=True)
            for l in range(config.l_max + 1)
        ]
        products = made.contraction(layer, a, species)
        read, adds = [*a, made.coefficients[layer]], n_atoms * config.n_channels * product(config, layer)
        name = f"contraction {layer}"
        yield work(name, lambda: made.contraction(layer, a, species), read, [products], adds / 4)  # noqa: B023
        yield adjoint(name, [products], a, read, 3 * adds / 4)


def work(
    name: str, call: Callable[[], Any], read: list[torch.Tensor], written: list[torch.Tensor], multiply_adds: float = 0.0
) -> Work:
    """A kernel with the traffic of these tensors."""
    return Work(name, call, sum(x.numel() * x.element_size() for x in [*read, *written]), multiply_adds)


def adjoint(
    name: str, results: list[torch.Tensor], inputs: list[torch.Tensor], read: list[torch.Tensor], multiply_adds: float = 0.0
) -> Work:
    """The adjoint of what made `results`, run again and again on one recorded graph."""
    gradients = [torch.randn_like(result) for result in results]

    def call() -> Any:
        return torch.autograd.grad(results, inputs, gradients, retain_graph=True)

    return work(f"{name}, adjoint", call, [*read, *gradients], inputs, multiply_adds)


def time(call: Callable[[], Any]) -> float:
    """Median seconds of a call, from events on the GPU."""
    from triton.testing import do_bench

    return do_bench(call, warmup=100, rep=500, return_mode="median") * 1e-3


def measure_peak(dtype: torch.dtype) -> Peak:
    """What this GPU reaches in a copy of 1 GB and in a matrix product in this precision (not TF32)."""
    x = torch.randn(2**28, device="cuda")
    y = torch.empty_like(x)
    matrix = torch.randn(8192, 8192, dtype=dtype, device="cuda")
    memory = 2 * x.numel() * x.element_size() / time(lambda: y.copy_(x))
    return Peak(memory, len(matrix) ** 3 / time(lambda: matrix @ matrix))


def crystal_graph(
    n_atoms: int, elements: Sequence[str], r_max: float, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Edge vectors, edge index and species of a crystal."""
    graph = graph_from_atoms(crystal(n_atoms), elements, r_max)
    return graph.edge_vectors.to(device, dtype), graph.edge_index.to(device), graph.species.to(device)


def crystal(n_atoms: int) -> Atoms:
    """Rattled MgO: as in `mhff bench` where its cubic cell fits, else of primitive cells."""
    if n_atoms % 8 == 0:
        return magnesia(n_atoms // 8)
    repeat = round((n_atoms / 2) ** (1 / 3))
    atoms = bulk("MgO", "rocksalt", a=LATTICE_CONSTANT) * (repeat, repeat, repeat)
    if len(atoms) != n_atoms:
        raise SystemExit(f"no crystal with {n_atoms} atoms")
    atoms.rattle(DISPLACEMENT, seed=1)
    return atoms


def random_model(shape: str, elements: tuple[str, ...] = ("H", "C", "N", "O", "Mg")) -> Model:
    """A model with random weights."""
    config = ModelConfig(elements=elements, heads=HEADS, **SHAPES[shape])
    return Model(MACE(config, seed=0), Heads([Head(name=name) for name in HEADS]))


if __name__ == "__main__":
    main()
