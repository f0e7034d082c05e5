"""Steps with one thread, with two, and with as many as a program chooses, on free and busy cores.

    .venv/bin/python benchmarks/thread_choice.py

writes `thread_choice.json` into `benchmarks/results` and prints a table: microseconds per step of
the bundled model in bulk MgO, each the mean over a second. "busy" is the same beside a process that
computes all the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from readme_table import markdown

from mhff.atoms import graph_from_atoms
from mhff.graph import Graph
from mhff.modelfile import load
from mhff.options import CompileOptions, Precision
from mhff_bench.machine import machine
from mhff_bench.systems import find_system
from mhff_deploy.artefact.runtime import ArtefactEvaluator, load_artefact
from mhff_deploy.compiling.cache import compiled

RESULTS = Path(__file__).with_name("results") / "thread_choice.json"
SIZES = (8, 64, 216, 512, 1728)
SECONDS = 1.0
N_WARM = 20
"""Steps before the clock starts, in which the number of threads is chosen, too."""
BUSY = "while True: pass"


class Always:
    """Stands for the choice of a program: all threads that torch has."""

    def for_pairs(self, n_pairs: int) -> nullcontext[None]:
        """See `Threads.for_pairs`."""
        return nullcontext()


def microseconds(evaluator: ArtefactEvaluator, graph: Graph) -> float:
    """Mean time of a step."""
    weights = torch.ones(graph.n_local, len(evaluator.capabilities.heads), dtype=torch.float64)
    for _ in range(N_WARM):
        evaluator.evaluate(graph, weights)
    n_steps, start = 0, time.perf_counter()
    while time.perf_counter() < start + SECONDS:
        evaluator.evaluate(graph, weights)
        n_steps += 1
    return 1e6 * (time.perf_counter() - start) / n_steps


@contextmanager
def busy_process() -> Iterator[None]:
    """Another process that computes all the time."""
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(program: Path) -> dict[str, dict[str, float]]:
    """Microseconds per step by size, then by way of running."""
    found: dict[str, dict[str, float]] = {}
    for n_atoms in SIZES:
        row = found[str(n_atoms)] = {}
        for beside, process in (("free", nullcontext()), ("busy", busy_process())):
            with process:
                for threads, chooses in ((1, False), (2, False), (2, True)):
                    evaluator = load_artefact(program.read_bytes(), program.name)
                    if not chooses:
                        evaluator._threads = Always()  # type: ignore[assignment]
                    known = evaluator.capabilities
                    atoms = find_system("mgo").atoms(n_atoms)
                    graph = graph_from_atoms(atoms, known.elements, known.r_max)
                    torch.set_num_threads(threads)
                    way = "chosen" if chooses else f"{threads}"
                    row[f"{beside}, {way}"] = microseconds(evaluator, graph)
    return found


def main() -> None:
    """Measure, keep and print."""
    options = CompileOptions(precision=Precision.FLOAT32)
    found = measure(compiled(load("mini"), options))
    RESULTS.write_text(json.dumps({"machine": machine(), "steps": found}, indent=1) + "\n")
    ways = list(next(iter(found.values())))
    rows = [[size, *(f"{row[way]:.0f}" for way in ways)] for size, row in found.items()]
    print(markdown(["atoms", *ways], rows), end="")


if __name__ == "__main__":
    main()
