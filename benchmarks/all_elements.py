"""A program for all 89 elements of the mh-1 shape against one for five, in every engine.

    .venv/bin/python benchmarks/all_elements.py [python ase lammps openmm]

writes `all_elements.json` into `benchmarks/results` and prints a table. It needs the model of
`prepare.py`. Both programs take turns of a second on one core; tables are made before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from prepare import FOLDER, HEADS
from result_tables import RESULTS
from two_contenders import ratio, table

from mhff_bench.contenders import Choice, Contender, contenders
from mhff_bench.machine import machine
from mhff_bench.systems import find_system
from mhff_bench.worker import MHFF_COMMAND

FILE = RESULTS / "all_elements.json"
MODEL = "mh1-everything"
FEW = ("H", "C", "N", "O", "Mg")
N_ATOMS = 64
TARGETS = {"python": "aoti", "ase": "aoti", "lammps": "lammps", "openmm": "openmm"}
"""What a program is compiled for, by engine."""
SUFFIXES = {"aoti": "pt2", "lammps": "mliap", "openmm": "pt2"}


def program(name: str, elements: tuple[str, ...], target: str) -> Path:
    """A program of the model for some elements, or all, compiled once."""
    file = FOLDER / f"{MODEL}-{name}-{target}.{SUFFIXES[target]}"
    if not file.exists():
        model = FOLDER / f"{MODEL}.mhff"
        options = ["--head", HEADS["mh1"], "--target", target, "-o", str(file)]
        few = ["--elements", ",".join(elements)] if elements else []
        command = [*MHFF_COMMAND, "compile", str(model), *options, *few]
        subprocess.run(command, check=True, capture_output=True)
    return file


def contender(engine: str, name: str, elements: tuple[str, ...]) -> Contender:
    """A program in an engine."""
    file = program(name, elements, TARGETS[engine])
    return contenders(Choice(str(file), engines=(engine,), head=HEADS["mh1"]))[0]


def main() -> None:
    """Measure the engines that are named, or all."""
    atoms = find_system("mgo").atoms(N_ATOMS)
    found = {}
    for engine in sys.argv[1:] or TARGETS:
        found[engine] = ratio(contender(engine, "all", ()), contender(engine, "few", FEW), atoms)
        FILE.write_text(json.dumps({"machine": machine(), "engines": found}, indent=1) + "\n")
    print(table(found, ["engine", "five elements, us per atom", "all 89"]), end="")


if __name__ == "__main__":
    main()
