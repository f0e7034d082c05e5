"""Time and memory of a product with the Hessian, against two evaluations of the float64 program.

    .venv/bin/python benchmarks/hessian.py mini --atoms 64 216 512

Products and evaluations take turns, so that a busy machine slows both; the ratio is the median over
turns. A row of a Hessian by differences of forces takes two evaluations, so a ratio below 1 is
faster. Each size has a process of its own, whose memory beyond that of the program is printed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from ase.build import bulk

from mhff import MHFFCalculator
from mhff.atoms import graph_from_atoms
from mhff.evaluator import ModelSource
from mhff.model.curvature import Curvature

N_TURNS = 15
ATOMS_PER_TURN = 2
"""Atoms whose rows a turn computes, six at a time."""
MUCH_WORK = 10**9
"""Edges times products, enough for kernels to pay."""
CELLS = {8: 1, 64: 2, 216: 3, 512: 4, 1000: 5}
"""Repeats of the cubic cell of MgO by number of atoms."""


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="a .mhff file, or mini")
    parser.add_argument("--atoms", type=int, nargs="+", choices=CELLS, default=[64, 216, 512])
    asked = parser.parse_args()
    if len(asked.atoms) == 1:
        print(measured(asked.model, asked.atoms[0]))
        return
    for n_atoms in asked.atoms:
        command = [sys.executable, __file__, asked.model, "--atoms", str(n_atoms)]
        subprocess.run(command, check=True)


def measured(model: ModelSource, n_atoms: int) -> str:
    """Line with the times and the memory for one size."""
    torch.set_num_threads(1)
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True).repeat(CELLS[n_atoms])
    atoms.rattle(0.05, seed=7)
    calc = MHFFCalculator(model, dtype="float64", form="aoti", head=first_head(model))
    calc.get_property("forces", atoms)
    network = calc.evaluator.twice_differentiable(("Mg", "O"), MUCH_WORK)
    graph = graph_from_atoms(atoms, network.config.elements, network.config.r_max)
    before = peak_memory()
    curvature = Curvature(network, graph, calc.head_weights(atoms), 3 * ATOMS_PER_TURN)
    ratios = []
    products = []
    for turn in range(N_TURNS + 1):
        start = time.perf_counter()
        for _ in range(2):
            atoms.positions[0, 0] += 1e-4
            calc.get_property("forces", atoms)
        middle = time.perf_counter()
        curvature.rows(np.arange(turn, turn + ATOMS_PER_TURN) % n_atoms)
        products.append((time.perf_counter() - middle) / (3 * ATOMS_PER_TURN))
        ratios.append(products[-1] / (middle - start))
    memory = (peak_memory() - before) / n_atoms
    return (
        f"{n_atoms} atoms: {1e3 * np.median(products[1:]):.1f} ms a product, "
        f"{np.median(ratios[1:]):.2f} of two evaluations, {memory:.0f} kB per atom"
    )


def first_head(model: ModelSource) -> str:
    """Name of a model's first head."""
    return MHFFCalculator(model, head=None, form="eager").capabilities.heads.names[0]


def peak_memory() -> int:
    """Largest resident memory of this process so far, kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
