"""Measures many small molecules: `mhff.compute`, torch-sim, and mace-torch with the same weights.

    .venv/bin/python benchmarks/batches.py

writes `benchmarks/results/batches.json` in about two minutes on two cores, after programs of the
model were compiled (`--prepare`). It needs `prepare.py` and torch-sim in both environments. All
programs use two threads or two processes. The peer's times are those of a sample.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from prepare import FOLDER, PYTHON
from result_tables import RESULTS, write_tables

import mhff
from mhff import MHFFCalculator
from mhff.evaluator import Evaluator
from mhff.opening import open_evaluator
from mhff.options import CompileOptions
from mhff_bench.machine import machine

MODEL = "small"
"""A random model of the bundled one's shape, for mhff and for mace-torch."""
HEAD = "molecules"
ELEMENTS = ("H", "C", "N", "O")
THREADS = 2
SMALLEST = 9
LARGEST = 20
"""Atoms of a molecule, or of two side by side."""
APART = 3.5
"""Distance between the boxes around two molecules, A."""
IN_ONE_SYSTEM = 300
"""Molecules in the large system, too far from each other to interact."""
SAMPLE = 40
"""Molecules of the peer's loop."""
RELAXED = 100
"""Molecules that torch-sim relaxes together."""
ROUNDS = 3


def molecules(number: int) -> Iterator[Atoms]:
    """Different geometries of molecules of the G2 set, and of pairs of them."""
    known = [molecule(name) for name in g2.names]
    fitting = [atoms for atoms in known if set(atoms.symbols) <= set(ELEMENTS)]
    kinds = [atoms for atoms in fitting if SMALLEST <= len(atoms) <= LARGEST]
    small = [atoms for atoms in fitting if len(atoms) >= SMALLEST // 2]
    kinds += [
        beside(first, second)
        for first, second in combinations(small, 2)
        if SMALLEST <= len(first) + len(second) <= LARGEST
    ]
    generator = np.random.default_rng(0)
    for seed in range(number):
        atoms = kinds[generator.integers(len(kinds))].copy()
        atoms.rattle(0.05, seed=seed)
        yield atoms


def beside(first: Atoms, second: Atoms) -> Atoms:
    """Two molecules as one structure."""
    moved = second.copy()
    moved.positions[:, 0] += np.ptp(first.positions[:, 0]) / 2 + np.ptp(moved.positions[:, 0]) / 2
    moved.positions[:, 0] += APART
    return first + moved


def one_system(structures: list[Atoms], spacing: float = 25.0) -> Atoms:
    """All structures as one, on a grid."""
    side = int(np.ceil(len(structures) ** (1 / 3)))
    whole = Atoms()
    for index, atoms in enumerate(structures):
        placed = atoms.copy()
        placed.positions += spacing * np.array(np.unravel_index(index, (side, side, side)))
        whole += placed
    return whole


def evaluator_of(dtype: str) -> Evaluator:
    """The compiled program, from the cache or made now."""
    evaluator = open_evaluator(FOLDER / f"{MODEL}.mhff", CompileOptions(precision=dtype))
    evaluator.prepare(ELEMENTS)
    return evaluator


def computed(evaluator: Evaluator, structures: list[Atoms]) -> float:
    """Seconds of `mhff.compute`."""
    start = time.perf_counter()
    for atoms in mhff.compute(evaluator, structures, HEAD, workers=THREADS):
        atoms.get_forces()
    return time.perf_counter() - start


def stepped(calculator: MHFFCalculator, whole: Atoms, n_steps: int = 8) -> float:
    """Seconds of one step of a large system in ASE."""
    generator = np.random.default_rng(1)
    whole.calc = calculator
    whole.get_forces()
    start = time.perf_counter()
    for _ in range(n_steps):
        whole.positions += generator.normal(0.0, 0.002, (len(whole), 3))
        whole.get_forces()
    return (time.perf_counter() - start) / n_steps


def peer(task: str, dtype: str, structures: list[Atoms]) -> dict[str, float]:
    """What `batches_worker.py` measures in the peer's interpreter."""
    return _worker(PYTHON, task, dtype, structures, FOLDER / f"{MODEL}.model")


def _worker(
    python: Path, task: str, dtype: str, structures: list[Atoms], model: Path
) -> dict[str, float]:
    script = Path(__file__).parent / "mhff_bench" / "workers" / "batches.py"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "structures.extxyz"
        ase.io.write(file, structures)
        done = subprocess.run(
            [python, "-W", "ignore", script, task, dtype, HEAD, model, file],
            env=os.environ | {"OMP_NUM_THREADS": str(THREADS)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(number: int, dtypes: list[str]) -> dict[str, Any]:
    """All times, in turns."""
    structures = list(molecules(number))
    n_atoms = sum(map(len, structures))
    report: dict[str, Any] = {"machine": machine(), "molecules": number, "atoms": n_atoms}
    for dtype in dtypes:
        evaluator = evaluator_of(dtype)
        calculator = MHFFCalculator(evaluator, HEAD)
        whole = one_system(structures[:IN_ONE_SYSTEM])
        rounds = [
            (computed(evaluator, structures), stepped(calculator, whole)) for _ in range(ROUNDS)
        ]
        ours = _worker(
            Path(sys.executable),
            "relax-mhff",
            dtype,
            structures[:RELAXED],
            FOLDER / f"{MODEL}.mhff",
        )
        loop = peer("loop", dtype, structures[:SAMPLE])
        theirs = peer("relax-mace", dtype, structures[:RELAXED])
        report[dtype] = {
            "compute_s": median(first for first, _ in rounds),
            "one_system_s": median(second for _, second in rounds) / len(whole) * n_atoms,
            "peer_loop_s": loop["seconds_per_atom"] * n_atoms,
            "relaxation_steps_per_s": ours["steps_per_s"],
            "peer_relaxation_steps_per_s": theirs["steps_per_s"],
        }
        print(dtype, report[dtype], flush=True)
    return report


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", action="store_true", help="compile, and measure nothing")
    parser.add_argument("--molecules", type=int, default=10_000)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--results", type=Path, default=RESULTS, help="another folder")
    given = parser.parse_args()
    torch.set_num_threads(THREADS)
    warnings.simplefilter("ignore")
    if given.prepare:
        for dtype in given.dtypes:
            evaluator_of(dtype)
        return
    report = measure(given.molecules, given.dtypes)
    (given.results / "batches.json").write_text(json.dumps(report, indent=1) + "\n")
    write_tables(given.results)


if __name__ == "__main__":
    main()
