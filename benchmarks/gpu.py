"""Checks and times programs and kernels on an NVIDIA GPU, against what its memory and arithmetic
allow.

    python benchmarks/gpu.py FOLDER [--only check,mp,mh1,mini,kernels] [--dtype float32] [--seconds 560]

Parts run in the order of `PARTS`; none begins that would not end in time, and what one measured is
written to FOLDER (a JSON file and a table as in `gpu.md`) before the next begins. `gpu.md` says
what was measured where, and how to run this on a machine that has no mhff.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time as clock
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from ase import Atoms
from ase.build import bulk
from gpu_kernels import works
from gpu_table import table

from mhff.graph import graph_from_atoms
from mhff.heads import Head, Heads
from mhff.model.config import ModelConfig
from mhff.model.mace import MACE
from mhff.modelfile import Model, load
from mhff_bench.count import multiply_adds
from mhff_bench.systems import DISPLACEMENT, LATTICE_CONSTANT, magnesia
from mhff_deploy.artefact.cuda_graphs import WAIT, GraphedProgram
from mhff_deploy.artefact.runtime import load_artefact
from mhff_deploy.compiling.build import build
from mhff_deploy.compiling.targets import AOTI

HEADS = ("materials", "surfaces", "molecules")
ELEMENTS = ("O", "Mg")
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
"""Changes to the default configuration, which is that of mace-mh-1; `mini` is the bundled model."""
SIZES = {"mp": (54, 216, 1000, 10000), "mh1": (216, 1000), "mini": (54, 1000)}
"""Numbers of atoms."""
PARTS = {"check": 60, "mp": 150, "mh1": 200, "mini": 100, "kernels": 60}
"""What there is, and the seconds that it may take: estimates until they are measured."""
STEPS = 50
"""That a time is the median of."""
TESTS = Path(__file__).parents[1] / "tests"


class Peak(NamedTuple):
    """What this GPU reaches, measured: bytes per second of a copy, multiply-adds per second of a
    matrix product.
    """

    memory: float
    arithmetic: float


class Results:
    """What was measured, written to a folder after each part."""

    def __init__(self, folder: Path, dtype: str) -> None:
        self.folder, self.start = folder, clock.monotonic()
        self.found: dict[str, Any] = {"dtype": dtype, "torch": torch.__version__, "parts": {}}
        folder.mkdir(parents=True, exist_ok=True)

    def say(self, line: str) -> None:
        """Print a line with the seconds since the start."""
        print(f"[{clock.monotonic() - self.start:5.0f} s] {line}", flush=True)

    def run(self, part: str, call: Callable[[], Any], seconds: float) -> None:
        """Run a part if there is time, and keep what it finds, or why it failed."""
        left = seconds - (clock.monotonic() - self.start)
        if left < PARTS[part]:
            self.found["parts"][part] = {"not measured": f"{left:.0f} s were left"}
            self.say(f"{part}: not measured, {left:.0f} s are left")
        else:
            self.say(f"{part} ...")
            try:
                self.found["parts"][part] = call()
            except Exception as error:  # the other parts are worth having
                traceback.print_exc()
                self.found["parts"][part] = {
                    "not measured": f"{type(error).__name__}: {str(error)[:300]}"
                }
            self.say(f"{part} done")
        name = f"gpu-{self.found['dtype']}"
        (self.folder / f"{name}.json").write_text(json.dumps(self.found, indent=1))
        (self.folder / f"{name}.md").write_text(table(self.found, SIZES))


def main() -> None:
    """Measure what was asked for, or everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where results are written")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--seconds", type=float, default=560, help="for all parts")
    arguments = parser.parse_args()
    asked = arguments.only.split(",")
    if unknown := [part for part in asked if part not in PARTS]:
        raise SystemExit(f"unknown part {', '.join(unknown)}: choose among {', '.join(PARTS)}")
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks/gpu.py needs an NVIDIA GPU, and torch finds none here")
    results = Results(arguments.folder, arguments.dtype)
    peak = measure_peak(getattr(torch, arguments.dtype))
    triton = __import__("triton").__version__
    results.found |= {"gpu": torch.cuda.get_device_name(), "triton": triton, "peak": peak._asdict()}
    results.say(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton}, "
        f"{arguments.dtype}"
    )
    results.say(
        f"copy {peak.memory / 1e12:.2f} TB/s, product {peak.arithmetic / 1e12:.1f} T "
        "multiply-adds/s"
    )
    for part in (part for part in PARTS if part in asked):
        calls = {
            "check": lambda: check(results),
            "kernels": lambda: kernels(arguments.dtype, peak, results),
        }
        program = lambda: programs(part, arguments.dtype, peak, results)  # noqa: B023, E731
        results.run(part, calls.get(part, program), arguments.seconds)
    print(table(results.found, SIZES))


def check(results: Results) -> dict[str, Any]:
    """Largest differences of kernels, and of whole networks with them, from plain torch in float64
    on the CPU.
    """
    found = {}
    for script, *arguments in (
        ("triton_kernels.py", "l_max 3, two tiles", "float64"),
        ("triton_kernels.py", "l_max 2, coefficients of elements", "float64"),
        ("triton_kernels.py", "l_max 3, two tiles", "float32"),
        ("triton_networks.py", "mh1", "float64"),
        ("triton_networks.py", "mp", "float64"),
    ):
        done = subprocess.run(
            [sys.executable, str(TESTS / script), *arguments, "cuda"],
            capture_output=True,
            text=True,
            check=False,
        )
        name = f"{script.removesuffix('.py')}: {', '.join(arguments)}"
        if done.returncode:
            found[name] = "failed: " + (done.stderr.strip().splitlines() or ["no message"])[-1]
            print(done.stderr[-3000:])
        else:
            values = list(json.loads(done.stdout.splitlines()[-1]).values())
            found[name] = math.nan if any(map(math.isnan, values)) else max(values)
        results.say(f"{name}: {found[name]}")
    return found


def programs(shape: str, dtype: str, peak: Peak, results: Results) -> dict[str, Any]:
    """Compile a model (which compares it with the eager one in float64 on the CPU), and time steps
    of several sizes.
    """
    start = clock.monotonic()
    model = load("mini") if shape == "mini" else random_model(shape)
    content, manifest = build(
        model, AOTI, elements=ELEMENTS, device="cuda", dtype=dtype, progress=results.say
    )
    found = {
        "compile": clock.monotonic() - start,
        "errors": manifest.largest_errors,
        "tables": manifest.tables,
        "sizes": {},
    }
    evaluator = load_artefact(content, "the program", device="cuda")
    graphed = evaluator.program
    assert isinstance(graphed, GraphedProgram)
    results.say(
        f"compiled in {found['compile']:.0f} s, {len(content) / 1e6:.1f} MB, errors "
        f"{manifest.largest_errors}"
    )
    for n_atoms in SIZES[shape]:
        graph = graph_from_atoms(crystal(n_atoms), evaluator.elements, evaluator.r_max)
        vectors, edge_index = (
            graph.edge_vectors.to("cuda", evaluator.dtype),
            graph.edge_index.cuda(),
        )
        species = graph.species.cuda()
        weights = torch.zeros(n_atoms, len(evaluator.heads), dtype=torch.float64, device="cuda")
        weights[:, 0] = 1.0
        floor = (
            n_atoms
            * multiply_adds(model.network.config, len(vectors) / n_atoms).total
            / peak.arithmetic
        )
        row: dict[str, Any] = {"neighbours": len(vectors) / n_atoms, "floor": floor}
        results_of: dict[str, tuple[torch.Tensor, ...]] = {}
        for name, program in (("launches", graphed.program), ("graph", graphed)):
            if name == "graph" and n_atoms > graphed.most_atoms:
                continue
            evaluator.program = program

            def step() -> tuple[torch.Tensor, ...]:
                return evaluator.evaluate(vectors, edge_index, species, weights)  # noqa: B023

            for _ in range(WAIT + 2):
                results_of[name] = step()
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            row[name] = time(step, STEPS if n_atoms < 5000 else 10)
            row[f"{name}, bytes"] = torch.cuda.max_memory_allocated()
        if "graph" in results_of:
            row["graphs recorded"] = len(graphed.slots)
            pairs = zip(results_of["graph"], results_of["launches"], strict=True)
            row["graph differs by"] = max(float((one - other).abs().max()) for one, other in pairs)
        evaluator.program = graphed
        results.say(f"{shape}, {n_atoms} atoms: {row}")
        found["sizes"][n_atoms] = row
        if n_atoms == 1000:
            given = inputs(evaluator, vectors, edge_index, species, weights)
            times = profile(lambda: graphed.program(*given))  # noqa: B023
            (results.folder / f"profile-{shape}-{dtype}.txt").write_text(times)
    return found


def inputs(evaluator: Any, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Inputs of a program for neutral singlets without ghosts."""
    plan = torch.zeros(1, dtype=torch.int64, device="cuda")
    state = torch.tensor([evaluator.default_state], dtype=torch.float64, device="cuda").repeat(
        len(tensors[2]), 1
    )
    return (*tensors, plan, state)


def profile(call: Callable[[], Any]) -> str:
    """The GPU's time in ten steps by kernel, as torch's profiler prints it."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.no_grad(), torch.profiler.profile(activities=activities) as found:
        for _ in range(10):
            call()
        torch.cuda.synchronize()
    return found.key_averages().table(
        sort_by="self_cuda_time_total", row_limit=40, max_name_column_width=70
    )


def kernels(dtype: str, peak: Peak, results: Results) -> dict[str, Any]:
    """Each kernel alone, beside the least that its traffic and its arithmetic take."""
    found: dict[str, Any] = {}
    for shape in SHAPES:
        network = random_model(shape).network.double().requires_grad_(False)
        graph = graph_from_atoms(crystal(1000), ELEMENTS, network.config.r_max)
        for work in works(network, graph, dtype, torch.device("cuda")):
            seconds = gpu_time(work.call)
            least = work.traffic / peak.memory, work.multiply_adds / peak.arithmetic
            found[f"{shape}: {work.name}"] = {
                "seconds": seconds,
                "memory": least[0],
                "arithmetic": least[1],
            }
            results.say(
                f"{shape}, {work.name}: {seconds * 1e6:.1f} us, least {least[0] * 1e6:.1f} and "
                f"{least[1] * 1e6:.1f}"
            )
    return found


def gpu_time(call: Callable[[], Any], calls: int = 20) -> float:
    """Seconds that the GPU works for a call; by torch's profiler, since launching from Python takes
    longer than a kernel.
    """
    call()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
    on_gpu = [
        event
        for event in found.key_averages()
        if event.device_type == torch.autograd.DeviceType.CUDA
    ]
    return sum(event.self_device_time_total for event in on_gpu) * 1e-6 / calls


def time(call: Callable[[], Any], steps: int) -> float:
    """Median wall time of a call after which one waits for the GPU, seconds."""
    times = []
    for _ in range(steps):
        torch.cuda.synchronize()
        start = clock.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(clock.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def measure_peak(dtype: torch.dtype) -> Peak:
    """What this GPU reaches in a copy of 1 GB and in a matrix product in this precision (not TF32)."""
    x = torch.randn(2**28, device="cuda")
    y = torch.empty_like(x)
    matrix = torch.randn(8192, 8192, dtype=dtype, device="cuda")
    for _ in range(3):
        matrix @ matrix
    memory = 2 * x.numel() * x.element_size() / time(lambda: y.copy_(x), 10)
    return Peak(memory, len(matrix) ** 3 / time(lambda: matrix @ matrix, 10))


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


def random_model(shape: str) -> Model:
    """A model with random weights."""
    config = ModelConfig(elements=ELEMENTS, heads=HEADS, **SHAPES[shape])
    return Model(MACE(config, seed=0), Heads([Head(name=name) for name in HEADS]))


if __name__ == "__main__":
    main()
