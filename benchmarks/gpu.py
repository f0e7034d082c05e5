"""Checks and times programs and kernels on an NVIDIA GPU, against its memory and arithmetic peaks.

    python benchmarks/gpu.py FOLDER [--only check,mp] [--dtype float32] [--seconds 560]

Programs are compiled side by side while the checks run; then the parts run one at a time in the
order of `PARTS`. A part begins only if there is time for it, and its results are written to FOLDER
(a JSON file and a table as in `gpu.md`) before the next begins. `gpu.md` says what was measured
where, and how to run this on a machine without mhff.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time as clock
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_kernels import works
from gpu_programs import CONFIGS, ELEMENTS, SIZES, crystal, shape_model
from gpu_table import table
from gpu_timing import Peak, gpu_time, measure_peak

from mhff.atoms import graph_from_atoms
from mhff_bench.worker import MHFF_COMMAND

ENGINES = ("ase", "lammps", "openmm")
"""Engines whose whole steps are measured, each a part of its own."""
PARTS = {
    **{"check": 60, "mini": 30, "mp": 40, "mh1": 30, "kernels": 40, "batches": 60},
    **dict.fromkeys(ENGINES, 90),
}
"""Seconds that each part may take, once its program is compiled."""
CHECKS = (
    ("kernels", "l_max 3, two tiles", "float64"),
    ("kernels", "l_max 2, coefficients of elements", "float64"),
    ("kernels", "l_max 3, two tiles", "float32"),
    ("networks", "mh1", "float64"),
    ("networks", "mp", "float64"),
)
"""Modules of `mhff_bench.gpu_checks` with their arguments."""
PROGRAMS = str(Path(__file__).with_name("gpu_programs.py"))
"""The program that compiles and measures programs."""
BATCHES = str(Path(__file__).with_name("gpu_batches.py"))
"""The program that measures `mhff.compute`."""
SIZES_OF_ENGINES = (64, 512, 1000, 4096)
"""Numbers of atoms of the bundled model's dynamics in the engines."""


class Results:
    """The results, written to a folder after each part."""

    def __init__(self, folder: Path, dtype: str) -> None:
        self.folder = folder
        self.start = clock.monotonic()
        self.found: dict[str, Any] = {"dtype": dtype, "torch": torch.__version__, "parts": {}}
        folder.mkdir(parents=True, exist_ok=True)

    def say(self, line: str) -> None:
        """Print a line with the seconds since the start."""
        print(f"[{clock.monotonic() - self.start:5.0f} s] {line}", flush=True)

    def run(self, part: str, call: Callable[[], Any], seconds: float) -> None:
        """Run a part if there is time, and keep its results, or the reason of its failure."""
        left = seconds - (clock.monotonic() - self.start)
        if left < PARTS[part]:
            self.found["parts"][part] = {"not measured": f"{left:.0f} s were left"}
            self.say(f"{part}: not measured, {left:.0f} s are left")
        else:
            self.say(f"{part} ...")
            try:
                self.found["parts"][part] = call()
            except Exception as error:  # the other parts can still be measured
                traceback.print_exc()
                self.found["parts"][part] = {
                    "not measured": f"{type(error).__name__}: {str(error)[:300]}"
                }
            self.say(f"{part} done")
        name = f"gpu-{self.found['dtype']}"
        (self.folder / f"{name}.json").write_text(json.dumps(self.found, indent=1))
        (self.folder / f"{name}.md").write_text(table(self.found, SIZES))


def main() -> None:
    """Measure the requested parts, or everything."""
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
    with tempfile.TemporaryDirectory() as programs:
        jobs = start_jobs([part for part in PARTS if part in asked], arguments.dtype, programs)
        for part in (part for part in PARTS if part in asked):
            call = partial(measure, part, arguments.dtype, peak, results, jobs, Path(programs))
            results.run(part, call, arguments.seconds)
    print(table(results.found, SIZES))


Done = subprocess.CompletedProcess[str]
Jobs = dict[str, Future[Done]]
"""Processes by the name of a check or a shape."""


def start_jobs(parts: list[str], dtype: str, programs: str) -> Jobs:
    """Start the compilations and checks that these parts need, side by side."""
    commands = {
        part: [PROGRAMS, "compile", part, dtype, programs] for part in parts if part in SIZES
    }
    if "check" in parts:
        for module, *arguments in CHECKS:
            name = f"{module}: {', '.join(arguments)}"
            commands[name] = ["-m", f"mhff_bench.gpu_checks.{module}", *arguments, "cuda"]
    pool = ThreadPoolExecutor(len(commands) or 1)
    return {name: pool.submit(run_python, *line) for name, line in commands.items()}


def run_python(*arguments: str) -> Done:
    """Run a program or module of Python."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def last_line(done: Done) -> str:
    """Show what a process printed, and return the last line; raises RuntimeError if it failed."""
    print(*done.stdout.splitlines()[:-1], sep="\n", flush=True)
    if done.returncode:
        print(done.stderr[-3000:], flush=True)
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"exit status {done.returncode}")
    return done.stdout.splitlines()[-1]


def measure(
    part: str, dtype: str, peak: Peak, results: Results, jobs: Jobs, programs: Path
) -> dict[str, Any]:
    """One part: the checks, the kernels one by one, or the programs of a shape."""
    if part == "check":
        return check(jobs, results)
    wait(jobs.values())  # nothing else may run while something is timed
    if part == "kernels":
        return kernels(dtype, peak, results)
    if part == "batches":
        found: dict[str, Any] = json.loads(last_line(run_python(BATCHES, dtype)))
        return found
    if part in ENGINES:
        return dynamics(part, dtype)
    seconds = float(last_line(jobs[part].result()))
    results.say(f"{part}: compiled in {seconds:.0f} s")
    where = [str(programs), str(results.folder), str(peak.arithmetic)]
    found = json.loads(last_line(run_python(PROGRAMS, "measure", part, dtype, *where)))
    return {"compile": seconds, **found}


def dynamics(engine: str, dtype: str) -> dict[str, Any]:
    """Milliseconds of a step of an engine by the number of atoms, by `mhff bench`."""
    sizes = ",".join(map(str, SIZES_OF_ENGINES))
    options = ["--device", "cuda", "--engine", engine, "--dtype", dtype, "--sizes", sizes]
    done = run_python(*MHFF_COMMAND[1:], "bench", "mini", "--head", "materials", *options, "--json")
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    points = json.loads(done.stdout)["points"]
    own = [point for point in points if point["contender"].startswith(engine)]
    return {"ms": {str(each["atoms"]): milliseconds(each) for each in own}}


def milliseconds(point: dict[str, Any]) -> float:
    """Time of a step."""
    return float(point["microseconds_per_atom"]["median"]) * int(point["atoms"]) / 1e3


def check(jobs: Jobs, results: Results) -> dict[str, Any]:
    """Largest errors of kernels, and of networks with them, against plain torch in float64."""
    found: dict[str, Any] = {}
    for name in (name for name in jobs if name not in SIZES):
        try:
            values = list(json.loads(last_line(jobs[name].result())).values())
            found[name] = math.nan if any(map(math.isnan, values)) else max(values)
        except RuntimeError as error:
            found[name] = f"failed: {error}"
        results.say(f"{name}: {found[name]}")
    return found


def kernels(dtype: str, peak: Peak, results: Results) -> dict[str, Any]:
    """Time of each kernel alone, beside the times that its traffic and its arithmetic take."""
    found: dict[str, Any] = {}
    for shape in CONFIGS:
        network = shape_model(shape).network.double().requires_grad_(False)
        graph = graph_from_atoms(crystal(1000), ELEMENTS, network.config.r_max)
        for work in works(network, graph, dtype, torch.device("cuda")):
            seconds = gpu_time(work.call)
            memory = work.traffic / peak.memory
            arithmetic = work.multiply_adds / peak.arithmetic
            found[f"{shape}: {work.name}"] = {
                "seconds": seconds,
                "memory": memory,
                "arithmetic": arithmetic,
            }
            results.say(
                f"{shape}, {work.name}: {seconds * 1e6:.1f} us, least {memory * 1e6:.1f} and "
                f"{arithmetic * 1e6:.1f}"
            )
    return found


if __name__ == "__main__":
    main()
