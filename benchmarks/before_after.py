"""Steps of this checkout against those of another, in turns on one core.

    .venv/bin/python benchmarks/before_after.py --before PYTHON [mini mp mh1]

`PYTHON` is that of the other checkout's environment. Writes `before_after.json` into
`benchmarks/results` and prints a table. It needs the models of `prepare.py`. Each side compiles its
own programs, which is not timed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace

from prepare import FOLDER, HEADS
from result_tables import RESULTS
from two_contenders import ratio, table

from mhff.modelfile import model_path
from mhff_bench.contenders import Choice, Contender, contenders
from mhff_bench.machine import machine
from mhff_bench.systems import find_system

FILE = RESULTS / "before_after.json"
SHAPES = {"mini": "materials", **HEADS}
"""Head that is measured, by shape."""
SIZES = (64, 216)
DTYPES = ("float32", "float64")


def cases(shape: str) -> Iterator[tuple[str, Contender]]:
    """Programs of a shape, by their names."""
    # by its path, because another checkout may bundle another one
    model = model_path(shape) if shape == "mini" else FOLDER / f"{shape}.mhff"
    for dtype in DTYPES:
        choice = Choice(str(model), dtypes=(dtype,), head=SHAPES[shape])
        yield f"{shape}, {dtype}", contenders(choice)[0]


def main() -> None:
    """Measure the shapes that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shapes", nargs="*", default=list(SHAPES), help=", ".join(SHAPES))
    parser.add_argument("--before", required=True, help="Python of the other checkout")
    asked = parser.parse_args()
    found = {}
    for shape in asked.shapes:
        for name, now in cases(shape):
            before = replace(now, command=(asked.before, *now.command[1:]))
            for n_atoms in SIZES:
                key = f"{name}, {n_atoms} atoms"
                found[key] = ratio(now, before, find_system("mgo").atoms(n_atoms))
                FILE.write_text(json.dumps({"machine": machine(), "cases": found}, indent=1) + "\n")
    print(table(found, ["case", "before, us per atom", "now"]), end="")


if __name__ == "__main__":
    main()
