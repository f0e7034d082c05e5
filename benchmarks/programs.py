"""Measures compile times, sizes of programs, steady memory and the cost of heads.

    .venv/bin/python benchmarks/programs.py

writes `benchmarks/results/programs.json`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from prepare import FOLDER, HEADS
from result_tables import RESULTS

from mhff.modelfile import load
from mhff_bench.count import multiply_adds
from mhff_bench.systems import find_system
from mhff_bench.turns import as_request
from mhff_bench.worker import MHFF_COMMAND, OWN_COMMAND, Worker

PROGRAMS = (
    ("mini", "aoti", "float32"),
    ("mini", "aoti", "float64"),
    ("mini", "torchscript", "float32"),
    ("mp", "aoti", "float32"),
    ("mp", "aoti", "float64"),
    ("mh1", "aoti", "float32"),
)
N_CALLS = 10_000
N_STAGES = 10
NEIGHBOURS = 86
"""Neighbours within 6 A in MgO; the bundled model sees fewer."""


def source(shape: str) -> str:
    """Model file of a shape."""
    return shape if shape == "mini" else str(FOLDER / f"{shape}.mhff")


def compiling(shape: str, form: str, dtype: str) -> dict[str, Any]:
    """Seconds, processor seconds, peak memory and size of `mhff compile`, with an empty cache."""
    head = HEADS.get(shape, "materials")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "program"
        options = ["--target", form, "--dtype", dtype, "--head", head, "-o", str(output)]
        command = [*MHFF_COMMAND, "compile", source(shape), *options]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"XDG_CACHE_HOME": folder, "OMP_NUM_THREADS": "1"},
        )
        seconds = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {
            "model": shape,
            "form": form,
            "dtype": dtype,
            "seconds": seconds,
            "processor_seconds": cpu,
            "megabytes": output.stat().st_size / 1e6,
            "said": done.stdout.strip().splitlines(),
        }


def steady_memory(shape: str, n_atoms: int) -> dict[str, Any]:
    """Bytes that a process holds at the beginning and after each tenth of many calls."""
    options = {
        "engine": "ase",
        "model": source(shape),
        "form": "aoti",
        "dtype": "float32",
        "head": "materials",
        "threads": 1,
    }
    with Worker("steady memory", OWN_COMMAND, options) as worker:
        worker.ask("prepare", as_request(find_system("mgo").atoms(n_atoms)))
        worker.ask("run", N_CALLS // N_STAGES)
        held = [worker.ask("memory", "start")["bytes"]]
        for _ in range(N_STAGES):
            worker.ask("run", N_CALLS // N_STAGES)
            held.append(worker.ask("memory", "start")["bytes"])
    return {"model": shape, "atoms": n_atoms, "calls": N_CALLS, "bytes": held}


def heads(shape: str) -> dict[str, Any]:
    """Multiply-adds per atom of all heads and of one."""
    config = load(source(shape)).network.config
    one = config.model_copy(update={"heads": config.heads[:1]})
    every, single = (multiply_adds(c, NEIGHBOURS).total for c in (config, one))
    return {
        "model": shape,
        "heads": len(config.heads),
        "all": every,
        "one": single,
        "ratio": every / single,
    }


def main() -> None:
    """Measure everything."""
    RESULTS.mkdir(exist_ok=True)
    found = {
        "heads": [heads(shape) for shape in ("mini", "mp", "mh1")],
        "steady_memory": [steady_memory("mini", 64)],
        "compiling": [compiling(*program) for program in PROGRAMS],
    }
    (RESULTS / "programs.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
