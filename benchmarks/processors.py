"""A step with the kernels of each level of processors, and without tiles, in turns on one core.

    .venv/bin/python benchmarks/processors.py [mp mh1]

writes `processors.json` into `benchmarks/results` and prints a table. It needs the models of
`prepare.py` and an x86 processor with AVX-512. After each step of a variant comes one of the next.
Samples during which another process shared the core are left out, and counted. The floor is the
counted multiply-adds at the peak measured between steps.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from prepare import FOLDER

from mhff.atoms import graph_from_atoms
from mhff.modelfile import Model, load
from mhff.options import CompileOptions
from mhff_bench.count import multiply_adds
from mhff_bench.machine import machine
from mhff_bench.systems import find_system
from mhff_deploy.artefact import constants
from mhff_deploy.artefact.runtime import load_artefact
from mhff_deploy.compiling.cache import compiled

RESULTS = Path(__file__).with_name("results") / "processors.json"
SHAPES = ("mp", "mh1")
ELEMENTS = ("O", "Mg")
N_ATOMS = 216
SECONDS = 60.0
MIN_SHARE_OF_NOPS = 0.87
"""Least share of the rate of a free core; one with a busy sibling decodes half as many."""
VARIANTS: dict[str, tuple[str, str, bool]] = {
    "native": ("native", "", True),
    "native without tiles": ("native", "", False),
    "portable": ("portable", "", True),
    "portable, kernels for AVX2": ("portable", "avx2", True),
}
"""Instruction set, torch's ATEN_CPU_CAPABILITY, and whether tiles are used."""


class Variant:
    """A process with one program."""

    def __init__(self, name: str, program: Path) -> None:
        _, capability, tiles = VARIANTS[name]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if capability:
            environment["ATEN_CPU_CAPABILITY"] = capability
        command = [sys.executable, __file__, "worker", str(program), str(int(tiles))]
        self.name = name
        self.samples: list[dict[str, float]] = []
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.described = self._answer()

    def _answer(self) -> dict[str, float]:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit(f"the process of '{self.name}' ended")
        found: dict[str, float] = json.loads(line)
        return found

    def step(self) -> None:
        """One sample."""
        if self.process.stdin:
            self.process.stdin.write("step\n")
            self.process.stdin.flush()
        self.samples.append(self._answer())

    def stop(self) -> None:
        """End the process."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


def measure(shape: str) -> dict[str, Any]:
    """Samples of all variants of one shape, in turns."""
    model = load(FOLDER / f"{shape}.mhff")
    programs = {isa: program_of(model, isa) for isa, _, _ in VARIANTS.values()}
    variants = [Variant(name, programs[isa]) for name, (isa, _, _) in VARIANTS.items()]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for variant in variants:
            variant.step()
    for variant in variants:
        variant.stop()
    neighbours = variants[0].described["edges"] / N_ATOMS
    count = multiply_adds(model.network.config, neighbours).total
    peak = statistics.median(sample["peak"] for sample in variants[0].samples)
    rates = [sample["nops"] for variant in variants for sample in variant.samples]
    free = statistics.quantiles(rates, n=10)[-1]
    return {
        "atoms": N_ATOMS,
        "floor": 1e6 * count / peak,
        "peak": peak,
        "variants": {
            variant.name: summary(variant, variants[0], MIN_SHARE_OF_NOPS * free)
            for variant in variants
        },
    }


def summary(variant: Variant, first: Variant, quiet_from: float) -> dict[str, float]:
    """Microseconds per atom, and cycles relative to the first variant, in quiet samples.

    `quiet_from`: least number of instructions without effect per cycle.
    """
    pairs = list(zip(first.samples, variant.samples, strict=True))
    quiet = [pair for pair in pairs if min(s["nops"] for s in pair) > quiet_from]
    if not quiet:
        raise SystemExit("no quiet samples: another process shares this core; try again later")
    ratios = [own["cycles"] / others["cycles"] for others, own in quiet]
    return {
        "samples": len(pairs),
        "quiet": len(quiet),
        "microseconds_per_atom": 1e6 * min(own["seconds"] for _, own in quiet) / N_ATOMS,
        "median_ratio": statistics.median(ratios),
    }


def program_of(model: Model, isa: str) -> Path:
    """A program in the cache, compiled now if need be."""
    options = CompileOptions.model_validate({"elements": ELEMENTS, "isa": isa})
    return compiled(model, options)


def work(program: Path, tiles: bool) -> None:
    """Steps of a program, one for each line of the input."""
    torch.set_num_threads(1)
    if not tiles:
        find = constants.find
        other = {"multiply_pack": "multiply_pack_in_panels"}
        constants.find = lambda space, name: find(space, other.get(name, name))
    evaluator = load_artefact(program.read_bytes(), program.name)
    known = evaluator.capabilities
    graph = graph_from_atoms(find_system("mgo").atoms(N_ATOMS), known.elements, known.r_max)
    weights = torch.ones(graph.n_local, len(known.heads), dtype=torch.float64)
    clocks = clocks_of_processor()

    def sample() -> dict[str, float]:
        before = clocks.cycles(), clocks.nops()
        start = time.perf_counter()
        with torch.no_grad():
            evaluator.evaluate(graph, weights)
        seconds = time.perf_counter() - start
        after = clocks.cycles(), clocks.nops()
        return {
            "seconds": seconds,
            "cycles": seconds * (before[0] + after[0]) / 2,
            "nops": min(before[1] / before[0], after[1] / after[0]),
            "peak": clocks.peak(),
        }

    sample()
    print(json.dumps({"edges": graph.edge_index.shape[1]}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(sample()), flush=True)


def clocks_of_processor() -> ctypes.CDLL:
    """The functions of `quiet.cpp`."""
    source = Path(__file__).with_name("quiet.cpp")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "quiet.so"
        command = ["g++", "-O2", "-march=native", "-shared", "-fPIC", str(source)]
        subprocess.run([*command, "-o", str(library)], check=True)
        clocks = ctypes.CDLL(str(library))
    for name in ("cycles", "nops", "peak"):
        getattr(clocks, name).restype = ctypes.c_double
    return clocks


def main() -> None:
    """Measure the shapes that are named, or all."""
    found = {shape: measure(shape) for shape in sys.argv[1:] or SHAPES}
    RESULTS.write_text(json.dumps({"machine": machine(), "shapes": found}, indent=1) + "\n")
    for shape, of_shape in found.items():
        print(f"{shape}: floor {of_shape['floor']:.0f} us per atom at {of_shape['peak']:.2e}/s")
        for name, row in of_shape["variants"].items():
            print(
                f"  {name:28s} {row['microseconds_per_atom']:7.1f} us per atom, "
                f"{row['median_ratio']:.3f} of native; {row['quiet']} of {row['samples']} quiet"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        work(Path(sys.argv[2]), sys.argv[3] == "1")
    else:
        main()
