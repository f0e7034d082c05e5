"""Runs every benchmark of `benchmarks/README.md` and writes what it finds to `benchmarks/results/`.

    .venv/bin/python benchmarks/run.py [CASE ...]

Without names all cases are run, which takes about an hour; `peers.py` prepares what they need.
Little else should run.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from peers import choice
from tables import write_tables

from mhff_bench.benchmark import Plan, bench
from mhff_bench.contenders import Choice
from mhff_bench.plot import scaling_plot

RESULTS = Path(__file__).parent / "results"
MGO = (8, 64, 216, 512, 1000, 1728, 4096)
MINI = Choice("mini", head="materials")
LONGEST = 10.0
"""A contender whose step would take longer, s, is left out of larger sizes."""


def against_peers(
    shape: str,
    dtype: str,
    sizes: tuple[int, ...],
    threads: tuple[int, ...] = (1,),
    memory: bool = True,
) -> Plan:
    """A program of ours and the same model in both peers."""
    return Plan(
        choice(shape, dtype, threads), sizes=sizes, rounds=7, longest=LONGEST, memory=memory
    )


CASES: dict[str, Plan] = {
    "mp-float32": against_peers("mp", "float32", MGO),
    "mp-float64": against_peers("mp", "float64", (64, 216), (1, 2)),
    "mh1-float32": against_peers("mh1", "float32", (8, 64, 216, 512)),
    "mp-float32-threads": against_peers("mp", "float32", (64, 216), (1, 2), memory=False),
    "mh1-float32-threads": against_peers("mh1", "float32", (64, 216), (1, 2), memory=False),
    "mini-engines": Plan(
        replace(MINI, engines=("python", "neighbours", "ase", "lammps", "openmm")),
        sizes=MGO,
        rounds=9,
        longest=LONGEST,
    ),
    "mini-forms": Plan(
        replace(MINI, forms=("eager", "torchscript", "aoti"), dtypes=("float32", "float64")),
        sizes=(64, 1000),
        rounds=7,
    ),
    "mini-threads": Plan(
        replace(MINI, threads=(1, 2)), sizes=(64, 216, 1000, 4096), rounds=9, memory=False
    ),
    "mini-water": Plan(
        replace(MINI, head="molecules", engines=("python", "neighbours", "openmm")),
        system="water",
        sizes=(24, 192, 648, 1536, 3000),
    ),
    "mini-co-on-mgo": Plan(
        replace(MINI, head="surfaces", engines=("python", "neighbours", "ase", "lammps")),
        system="co-on-mgo",
        sizes=(18, 72, 288, 648, 1152),
    ),
}
FIGURES = ("mp-float32", "mh1-float32", "mini-engines", "mini-water", "mini-co-on-mgo")


def run(name: str) -> None:
    """Measure one case; write its JSON object and its figure."""
    print(f"{name}:", flush=True)
    report = bench(CASES[name], lambda sentence: print(f"  {sentence}", flush=True)).as_dict()
    report["model"] = Path(report["model"]).name  # where it lies is nobody's business
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    if name in FIGURES:
        scaling_plot(report, RESULTS / f"{name}.png")


if __name__ == "__main__":
    RESULTS.mkdir(exist_ok=True)
    for case in sys.argv[1:] or CASES:
        run(case)
    write_tables(RESULTS)
