"""Imports a model file, saves it, loads it, evaluates MgO, and measures its own time and memory.

Run by test_full_size.py.

.venv/bin/python tests/parity/import_full_size.py FILE FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

import mhff
from mhff.interop.mace.importer import import_model


def peak_memory() -> float:
    """Largest resident memory of this program so far, GB.

    getrusage would also count the process that started it.
    """
    field = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    return int(field) * 1024 / 1e9


def measure_import(source: Path, target: Path) -> dict[str, float]:
    """Seconds and GB of what `mhff import-mace` does, and the number of weights."""
    start = time.monotonic()
    model = import_model(source).model
    model.save(target)
    seconds = time.monotonic() - start
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    return {"seconds": seconds, "gigabytes": peak_memory(), "parameters": parameters}


def evaluate(model: Path, folder: Path) -> None:
    """`<dtype>-<head>.npz` with the calculator's energies, forces and stress."""
    from full_size import HEADS, magnesia

    atoms = magnesia(2)
    for dtype in ("float64", "float32"):
        for head in HEADS:
            atoms.calc = mhff.MHFFCalculator(model, head=head, dtype=dtype, form="eager")
            energies, forces = atoms.get_potential_energies(), atoms.get_forces()
            np.savez(
                folder / f"{dtype}-{head}.npz",
                energies=energies,
                forces=forces,
                stress=atoms.get_stress(voigt=False),
            )


def main() -> None:
    """Read the command line."""
    torch.set_num_threads(1)
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    report = measure_import(source, folder / "model.mhff")
    start = time.monotonic()
    evaluate(folder / "model.mhff", folder)
    report |= {
        "evaluation_seconds": time.monotonic() - start,
        "evaluation_gigabytes": peak_memory(),
    }
    (folder / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
