"""Many small molecules through `mhff.compute` on a GPU, for `gpu.py`.

    python benchmarks/gpu_batches.py DTYPE [DEVICE]

prints JSON: molecules per second, and the largest difference from the model in float64.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

import mhff
from mhff import MHFFCalculator
from mhff.opening import open_evaluator
from mhff.options import CompileOptions

DATA = Path(__file__).resolve().parents[1] / "data"
N_MOLECULES = 10_000
N_COMPARED = 50
HEAD = "molecules"


def measure(dtype: str, device: str) -> dict[str, Any]:
    """Molecules of the bundled data set, over and over."""
    known = ase.io.read(DATA / "molecules.extxyz", ":")
    structures = [known[index % len(known)].copy() for index in range(N_MOLECULES)]
    evaluator = open_evaluator(
        "mini", CompileOptions.model_validate({"device": device, "precision": dtype})
    )
    evaluator.prepare(sorted({symbol for atoms in structures for symbol in set(atoms.symbols)}))
    list(mhff.compute(evaluator, structures[:N_COMPARED], HEAD))
    start = time.perf_counter()
    found = list(mhff.compute(evaluator, structures, HEAD))
    seconds = time.perf_counter() - start
    return {
        "molecules": N_MOLECULES,
        "atoms": sum(map(len, structures)),
        "molecules_per_second": N_MOLECULES / seconds,
        "largest force error": largest_error(found[:N_COMPARED]),
    }


def largest_error(found: list[Atoms]) -> float:
    """Largest error of a component of a force, eV/A, against the eager model in float64."""
    exact = MHFFCalculator("mini", HEAD, dtype="float64", form="eager")
    errors = [np.abs(exact.get_forces(atoms.copy()) - atoms.get_forces()).max() for atoms in found]
    return float(max(errors))


if __name__ == "__main__":
    dtype, device = (*sys.argv[1:], "cuda")[:2]
    print(json.dumps(measure(dtype, device)))
