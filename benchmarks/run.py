"""Runs the benchmarks of `benchmarks/README.md` and writes the results to `benchmarks/results/`.

    .venv/bin/python benchmarks/run.py [CASE ...]      these cases, or all: about an hour
    .venv/bin/python benchmarks/run.py --readme        the cases of README's tables: 25 minutes

Then it writes all tables anew, those in README among them. `prepare.py` makes what the cases need.
Run it on a quiet machine. `--sizes 8 --rounds 1 --results FOLDER` tries a run without touching the
committed results.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from prepare import SIZES, choice
from readme_table import README_CASES
from result_tables import RESULTS, write_tables

from mhff_bench.benchmark import Plan, bench
from mhff_bench.contenders import Choice
from mhff_bench.plot import scaling_plot

MGO = (8, 64, 216, 512, 1000, 1728, 4096)
MINI = Choice("mini", head="materials")
MAX_SECONDS = 10.0
"""A contender skips sizes at which a step would take longer, s."""
SYMMETRIX = ("symmetrix-xl",)
EAGER = ("mace-torch", "symmetrix-xl")
"""Peers that start within seconds."""
BOTH = (1, 2)


def compared(shape: str, dtype: str) -> Plan:
    """A program of ours and the same model in all peers, at the sizes that README shows."""
    return Plan(choice(shape, dtype), sizes=SIZES, rounds=5, max_seconds=MAX_SECONDS)


def threaded(shape: str, dtype: str) -> Plan:
    """The case `compared`, with one thread and with two."""
    return Plan(
        choice(shape, dtype, BOTH, EAGER), sizes=SIZES, max_seconds=MAX_SECONDS, memory=False
    )


CASES: dict[str, Plan] = {
    "mp-float32": compared("mp", "float32"),
    "mp-float64": compared("mp", "float64"),
    "mh1-float32": compared("mh1", "float32"),
    "mini-engines": Plan(
        replace(MINI, engines=("python", "neighbours", "ase", "lammps", "openmm")),
        sizes=(8, 64, 216, 512, 1000, 4096),
    ),
    "mp-openmm": Plan(
        replace(choice("mp", "float32", against=("openmm-ml",)), engines=("openmm",)),
        sizes=(64, 216, 512),
        rounds=5,
        memory=False,
    ),
    "mp-float32-sizes": Plan(choice("mp", "float32", against=SYMMETRIX), sizes=MGO),
    "mh1-float32-sizes": Plan(choice("mh1", "float32", against=SYMMETRIX), sizes=MGO[:4]),
    "mp-float32-threads": threaded("mp", "float32"),
    "mp-float64-threads": threaded("mp", "float64"),
    "mh1-float32-threads": threaded("mh1", "float32"),
    "mini-forms": Plan(
        replace(MINI, forms=("eager", "torchscript", "aoti"), dtypes=("float32", "float64")),
        sizes=(64, 1000),
    ),
    "mini-threads": Plan(
        replace(MINI, threads=BOTH), sizes=(64, 216, 1000, 4096), rounds=9, memory=False
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
FIGURES = ("mp-float32-sizes", "mh1-float32-sizes", "mini-engines", "mini-water", "mini-co-on-mgo")


def run(name: str, plan: Plan, results: Path) -> None:
    """Measure one case; write its JSON object and its figure."""
    print(f"{name}:", flush=True)
    report = bench(plan, lambda sentence: print(f"  {sentence}", flush=True)).as_dict()
    report["model"] = Path(report["model"]).name  # without the folder, which is private
    (results / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    if name in FIGURES:
        scaling_plot(report, results / f"{name}.png")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--readme", action="store_true", help="the cases of README's tables")
    parser.add_argument("--sizes", type=int, nargs="+", help="other numbers of atoms")
    parser.add_argument("--rounds", type=int, help="another number of rounds")
    parser.add_argument("--results", type=Path, default=RESULTS, help="another folder")
    given = parser.parse_args()
    names = given.cases or (README_CASES if given.readme else list(CASES))
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"unknown case {', '.join(unknown)}: choose among {', '.join(CASES)}")
    given.results.mkdir(parents=True, exist_ok=True)
    for name in names:
        plan = CASES[name]
        if given.sizes:
            plan = replace(plan, sizes=tuple(given.sizes))
        run(name, replace(plan, rounds=given.rounds or plan.rounds), given.results)
    write_tables(given.results)


if __name__ == "__main__":
    main()
