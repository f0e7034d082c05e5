"""Kernels for another processor, under an emulator, against those of this one.

    .venv/bin/python benchmarks/foreign_kernels.py COMPILER LEVEL EMULATOR

For instance `aarch64-linux-gnu-g++ armv8-a qemu-aarch64`, or `g++ x86-64-v3 "qemu-x86_64 -cpu
Haswell"`. Debian's cross compiler (g++-aarch64-linux-gnu) and qemu-user may be unpacked anywhere;
nothing need be installed. It also compiles the whole library of a model, which is not run: that
would need torch for the other processor.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from mhff.files import kernel_folder
from mhff.ops.cpu.build import FLAGS, HEADERS, build
from mhff.ops.cpu.code import CpuTarget, program_code, struct_code
from mhff.ops.cpu.library import load
from mhff.ops.shapes import Shape
from mhff.ops.spline import TAPS
from mhff_bench.random_networks import ARCHITECTURES, random_network
from mhff_deploy.kernels.shapes import network_shapes

CASES = (("mp", 32), ("density", 24))
"""Architectures, and the number of channels of each."""
LAYER = 1
N_ATOMS = 19
N_EDGES = 400
N_TABLES = 3
N_INTERVALS = 37
R_MIN = 0.001
R_MAX = 4.0
TOLERANCE = {torch.float64: 1e-13, torch.float32: 1e-5}
"""Largest difference, relative to the largest number of each result."""
DRIVER = Path(__file__).with_suffix(".cpp")
VECTOR_BYTES = {"x86-64-v3": 32, "x86-64-v4": 64}
"""Size of a vector register; 16 for other levels."""
STABLE_INTERFACE = "-DTORCH_TARGET_VERSION=0x020b000000000000"


def main() -> None:
    """Compare all cases in both precisions; ends with an error if a result differs."""
    compiler, level, emulator = sys.argv[1:4]
    for architecture, channels in CASES:
        network = random_network(
            n_channels=channels, n_edge_channels=channels, **ARCHITECTURES[architecture]
        )
        shapes = network_shapes(network, in_tables=True)
        command = [compiler, *FLAGS[:-1], f"-march={level}", f"-I{HEADERS}"]
        for dtype, tolerance in TOLERANCE.items():
            target = CpuTarget(dtype, VECTOR_BYTES.get(level, 16))
            differences = compared(shapes, target, command, emulator)
            largest = max(differences.values())
            print(f"{architecture}, {dtype}: largest difference {largest:.1e}", flush=True)
            if not largest <= tolerance:
                raise SystemExit(f"these differ: {differences}")
        compile_library(shapes, target, command)
        print(f"{architecture}: the whole library compiles", flush=True)


def compared(
    shapes: dict[str, Shape], target: CpuTarget, command: list[str], emulator: str
) -> dict[str, float]:
    """Largest difference of each result, relative to its largest number."""
    inputs = dict(inputs_of(shapes, target.dtype))
    expected = results_here(shapes, target.dtype, inputs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shapes_of_model.h").write_text(structs(shapes, target, inputs))
        program = folder / "program"
        subprocess.run(
            [*command, "-static", f"-I{folder}", str(DRIVER), "-o", str(program)], check=True
        )
        content = b"".join(value.numpy().tobytes() for value in inputs.values())
        (folder / "in").write_bytes(content)
        run = [*shlex.split(emulator), str(program), str(folder / "in"), str(folder / "out")]
        subprocess.run(run, check=True)
        flat = torch.frombuffer(bytearray((folder / "out").read_bytes()), dtype=target.dtype)
    found = flat.split([value.numel() for value in expected.values()])
    return {
        name: float((mine.flatten() - theirs).abs().max() / mine.abs().max())
        for (name, mine), theirs in zip(expected.items(), found, strict=True)
    }


def structs(shapes: dict[str, Shape], target: CpuTarget, inputs: dict[str, torch.Tensor]) -> str:
    """The header with the shapes of one layer."""
    named = {"geometry": "geometry", "convolution": f"convolution_{LAYER}"}
    named["contraction"] = f"contraction_{LAYER}"
    code = [struct_code(name, shapes[key], target) for name, key in named.items()]
    sizes = {"n_atoms": N_ATOMS, "n_edges": N_EDGES, "n_tables": N_TABLES}
    sizes |= {"n_intervals": N_INTERVALS, "n_sets": len(inputs["coefficients"])}
    constants = [f"constexpr int {name} = {value};" for name, value in sizes.items()]
    constants.append(f"constexpr double r_min = {R_MIN}, r_max = {R_MAX};")
    return "\n".join(["namespace mhff {", *code, *constants, "}  // namespace mhff", ""])


def inputs_of(shapes: dict[str, Any], dtype: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
    """Random inputs in the order in which the driver reads them."""
    generator = torch.Generator().manual_seed(0)

    def randoms(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    convolution = shapes[f"convolution_{LAYER}"]
    contraction = shapes[f"contraction_{LAYER}"]
    yield "vectors", randoms(N_EDGES, 3)
    receivers = torch.randint(N_ATOMS - 1, (N_EDGES,), generator=generator).sort().values
    senders = torch.randint(N_ATOMS, (N_EDGES,), generator=generator)
    yield "edge_index", torch.stack([senders, receivers])
    species = torch.randint(N_TABLES, (N_ATOMS,), generator=generator)
    yield "species", species
    yield "table_of", torch.randint(N_TABLES, (N_TABLES, N_TABLES), generator=generator)
    yield "order", torch.arange(N_EDGES, dtype=torch.int32)
    begin = torch.searchsorted(receivers, torch.arange(N_ATOMS + 1))
    yield "begin", begin.to(torch.int32)
    yield "features", randoms(N_ATOMS, (convolution.input_lmax + 1) ** 2, convolution.channels)
    yield "harmonics", randoms(N_EDGES, (convolution.l_max + 1) ** 2)
    yield "r", (1.05 * R_MAX * torch.rand(N_EDGES, generator=generator)).to(dtype)
    rows = N_INTERVALS + TAPS - 1
    yield "tables", randoms(N_TABLES, rows, len(convolution.paths), convolution.channels)
    widths = zip(convolution.message_widths, convolution.mapped, strict=True)
    maps = [randoms(width, mapped) for width, mapped in widths]
    yield "maps", torch.cat([matrix.flatten() for matrix in maps])
    yield "transposed", torch.cat([matrix.T.flatten() for matrix in maps])
    size = sum((2 * l + 1) * mapped for l, mapped in enumerate(convolution.mapped))
    yield "gradient", randoms(N_ATOMS * size)
    yield "species_of_products", species % 2
    n_terms = len(contraction.coefficient_order)
    yield "coefficients", randoms(2, n_terms, contraction.channels)
    yield "product_features", randoms(N_ATOMS * contraction.dim * contraction.channels)
    yield "product_gradient", randoms(N_ATOMS * contraction.n_rows * contraction.channels)


def results_here(
    shapes: dict[str, Any], dtype: torch.dtype, x: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Results of this machine's kernels in the order in which the driver writes them."""
    operators = load(*build(shapes, dtype, kernel_folder()), shapes)
    names = ["harmonics", "distances", "d_vectors", "mapped", "d_features", "d_harmonics", "d_r"]
    names += ["products", "d_product_features"]
    harmonics, distances = operators["geometry"](x["vectors"])
    results = [harmonics, distances]
    results.append(operators["geometry_adjoint"](harmonics, distances, x["vectors"]))
    convolution = shapes[f"convolution_{LAYER}"]
    packed: list[torch.Tensor] = []
    for name in ("maps", "transposed"):
        sizes = list(zip(convolution.message_widths, convolution.mapped, strict=True))
        ends = [0, *torch.tensor([a * b for a, b in sizes]).cumsum(0).tolist()]
        flat = [x[name][first:last] for first, last in pairwise(ends)]
        shaped = [
            part.view(*(size if name == "maps" else size[::-1]))
            for part, size in zip(flat, sizes, strict=True)
        ]
        packed.append(torch.cat([operators["multiply_pack"](matrix) for matrix in shaped]))
    tables = operators[f"convolution_{LAYER}_pack"](x["tables"])
    edges = (x["harmonics"], x["edge_index"], x["order"], x["begin"], x["r"], x["species"])
    given = (x["features"], *edges, x["table_of"], tables, *packed, R_MIN, R_MAX)
    results.append(operators[f"convolution_{LAYER}"](*given))
    results += operators[f"convolution_{LAYER}_adjoint"](x["gradient"], *given)
    coefficients = operators[f"contraction_{LAYER}_pack"](x["coefficients"])
    given = (x["product_features"], coefficients, x["species_of_products"])
    results.append(operators[f"contraction_{LAYER}"](*given))
    results.append(operators[f"contraction_{LAYER}_adjoint"](x["product_gradient"], *given))
    return dict(zip(names, results, strict=True))


def compile_library(shapes: dict[str, Shape], target: CpuTarget, command: list[str]) -> None:
    """Compile the library of a model, without linking it."""
    include = f"-I{Path(torch.__file__).parent / 'include'}"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "program.cpp"
        source.write_text(program_code(shapes, target, "mhff_foreign"))
        output = ["-c", str(source), "-o", str(Path(folder) / "program.o")]
        subprocess.run([*command, "-fPIC", STABLE_INTERFACE, include, *output], check=True)


if __name__ == "__main__":
    main()
