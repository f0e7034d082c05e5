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
from result_tables import RESULTS

from mhff.modelfile import load

FILE = RESULTS / "first_minute.json"
COMPILE = "from mhff.cli import main; main()"
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
        return self.run(COMPILE, "compile", model, *options)


def imports(sides: list[Side]) -> dict[str, Times]:
    """Times of imports, the sides taking turns."""
    every = [(name, side) for name in IMPORTS for side in sides]
    runs = {
        f"{name}, {side.name}": [side.run(IMPORTS[name]) for _ in range(N_IMPORTS)]
        for name, side in every
    }
    return {name: min(times, key=lambda run: run["seconds"]) for name, times in runs.items()}


def shape(name: str, sides: list[Side], folder: Path) -> dict[str, Times]:
    """Times to compile a model, then another of its architecture, and to open a program."""
    source = name if name == "mini" else str(FOLDER / f"{name}.mhff")
    head = HEADS.get(name, "materials")
    other = folder / f"{name}.mhff"
    nudged(source, other)
    found: dict[str, Times] = {}
    for side in sides:
        output = folder / f"{name}-{side.name}.pt2"
        found[f"compile {name}, {side.name}"] = side.compile(source, head, output)
        second = folder / "second.pt2"
        found[f"another model like {name}, {side.name}"] = side.compile(str(other), head, second)
        found[f"import mhff and open {name}, {side.name}"] = side.run(OPEN, str(output))
    return found


def nudged(source: str, output: Path) -> None:
    """Write a model whose weights differ a little from those of another."""
    model = load(source)
    for parameter in model.network.parameters():
        parameter.mul_(1 + NUDGE)
    model.save(output)


def table(found: dict[str, Times], sides: list[str]) -> str:
    """The times as a table, a row for each part."""
    parts = list(dict.fromkeys(name.rsplit(", ", 1)[0] for name in found))
    lines = ["| seconds | " + " | ".join(sides) + " |", "|---|" + "---:|" * len(sides)]
    for part in parts:
        cells = [found.get(f"{part}, {side}") for side in sides]
        shown = [f"{cell['seconds']:.1f}" if cell else "" for cell in cells]
        lines.append(f"| {part} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


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
            sides.insert(0, Side("before", asked.before, folder / "before"))
        found: dict[str, Times] = json.loads(FILE.read_text()) if FILE.exists() else {}
        for part in asked.parts:
            found |= imports(sides) if part == "imports" else shape(part, sides, folder)
            FILE.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found, ["before", "now"]))


if __name__ == "__main__":
    main()
