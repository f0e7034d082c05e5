"""How long a user waits: imports, compiling, another model of a known architecture, opening.

    .venv/bin/python benchmarks/first_minute.py [--before PYTHON] [PART ...]

Parts are `imports`, `mini`, `mp` and `mh1`; without any, all are measured. `--before` is the Python
of another checkout, which takes turns with this one. Every run is a process of its own; compilers
begin with an empty cache. `benchmarks/results/first_minute.json` keeps the latest value of each
part, so parts may be measured one by one. Shapes other than `mini` need `benchmarks/prepare.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prepare import FOLDER, HEADS
from readme_table import markdown
from result_tables import RESULTS

from mhff.modelfile import load
from mhff_bench.worker import MHFF_COMMAND

FILE = RESULTS / "first_minute.json"
OPEN = """
import sys
from mhff.opening import open_evaluator
evaluator = open_evaluator(sys.argv[1])
evaluator.prepare(sys.argv[2:] or list(evaluator.capabilities.elements))
"""
IMPORTS = {"import torch": "import torch", "import mhff": "import mhff"}
NUDGE = 1e-3
"""Relative change of weights that makes another model."""
N_IMPORTS = 3
"""Each import is repeated, and the fastest counts: the first reads files from the disk."""
Times = dict[str, float]
"""Seconds, and seconds of processors."""


class Side:
    """One checkout of mhff, with a cache of its own."""

    def __init__(self, name: str, python: str, cache: Path) -> None:
        self.name = name
        self.python = python
        self.environment = os.environ | {
            "XDG_CACHE_HOME": str(cache),
            "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        }

    def run(self, code: str, *arguments: str) -> Times:
        """Times of a process that runs some code."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        command = [self.python, "-P", "-c", code, *arguments]
        subprocess.run(command, check=True, capture_output=True, env=self.environment)
        seconds = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"seconds": seconds, "processor_seconds": processor}

    def compile(self, model: str, head: str, output: Path) -> Times:
        """Times of `mhff compile`."""
        options = ["--head", head, "--target", "aoti", "-o", str(output)]
        return self.run(MHFF_COMMAND[-1], "compile", model, *options)


class Record:
    """Times by part and side, written as they are measured."""

    def __init__(self) -> None:
        self.times: dict[str, Times] = json.loads(FILE.read_text()) if FILE.exists() else {}

    def add(self, part: str, side: Side, times: Times) -> None:
        """Keep the times of a part."""
        self.times[f"{part}, {side.name}"] = times
        FILE.write_text(json.dumps(self.times, indent=1) + "\n")


def imports(sides: list[Side], record: Record) -> None:
    """Times of imports, the sides taking turns."""
    for name, code in IMPORTS.items():
        runs = [[side.run(code) for side in sides] for _ in range(N_IMPORTS)]
        for side, times in zip(sides, zip(*runs, strict=True), strict=True):
            record.add(name, side, min(times, key=lambda run: run["seconds"]))


def shape(name: str, sides: list[Side], folder: Path, record: Record) -> None:
    """Times to compile a model, then another of its architecture, and to open a program."""
    source = name if name == "mini" else str(FOLDER / f"{name}.mhff")
    head = HEADS.get(name, "materials")
    other = folder / f"{name}.mhff"
    nudged(source, other)
    for side in sides:
        first, second = (folder / f"{name}-{side.name}-{number}.pt2" for number in (1, 2))
        record.add(f"compile {name}", side, side.compile(source, head, first))
        record.add(f"another model like {name}", side, side.compile(str(other), head, second))
        record.add(f"import mhff and open {name}", side, side.run(OPEN, str(first)))


def nudged(source: str, output: Path) -> None:
    """Write a model whose weights differ a little from those of another."""
    model = load(source)
    for parameter in model.network.parameters():
        parameter.mul_(1 + NUDGE)
    model.save(output)


def table(found: dict[str, Times], sides: list[str]) -> str:
    """The times as a table, a row for each part."""
    parts = list(dict.fromkeys(name.rsplit(", ", 1)[0] for name in found))
    rows = []
    for part in parts:
        cells = [found.get(f"{part}, {side}") for side in sides]
        rows.append([part, *(f"{cell['seconds']:.1f}" if cell else "" for cell in cells)])
    return markdown(["seconds", *sides], rows)


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["imports", "mini", "mp", "mh1"])
    parser.add_argument("--before", help="Python of another checkout")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sides = [Side("now", sys.executable, folder / "now")]
        if asked.before:
            sides.append(Side("before", asked.before, folder / "before"))
        record = Record()
        for part in asked.parts:
            if part == "imports":
                imports(sides, record)
            else:
                shape(part, sides, folder, record)
    print(table(record.times, ["before", "now"]), end="")


if __name__ == "__main__":
    main()
