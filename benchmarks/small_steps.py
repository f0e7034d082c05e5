"""Parts of a small molecule's step in ASE outside the program, in microseconds.

    .venv/bin/python benchmarks/small_steps.py

Each part is repeated by itself; on a busy machine the tenth percentile is close to a quiet one's
median. The step as a whole runs with a program that returns what it returned before.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule

from mhff import MHFFCalculator
from mhff.atoms import geometry
from mhff.graph import program_inputs

N_REPEATS = 2000
SHARE = 10
"""Percentile."""
SIZES = (3, 9, 30)
"""Atoms of clusters of water."""
MOVE = 1e-7
"""How far atoms move in a step, A."""


def main() -> None:
    """Print a table for each size."""
    torch.set_num_threads(1)
    for n_atoms in SIZES:
        print(f"{n_atoms} atoms")
        for name, part in parts(waters(n_atoms // 3)).items():
            print(f"    {name:46} {microseconds(part):6.1f}")


def waters(n_molecules: int) -> Atoms:
    """A row of molecules, 3 A apart."""
    row = Atoms()
    for place in range(n_molecules):
        one = molecule("H2O")
        one.translate([3.0 * place, 0, 0])
        row += one
    return row


def parts(atoms: Atoms) -> dict[str, Callable[[], object]]:
    """Functions that do one part of a step each, the whole step first."""
    calc = MHFFCalculator("mini", head="molecules", form="aoti")
    atoms.calc = calc
    atoms.get_forces()
    edges = calc.neighbours.edges(*geometry(atoms))
    graph = calc._without_edges.with_edges(*edges)
    weights = calc._weights
    program = calc.evaluator._program
    energies, gradients = program.evaluate(graph, weights)
    operators = program.list_operators()
    results = (gradients, graph.edge_index, energies, weights)
    program.program = lambda *inputs: (energies, gradients)
    start = atoms.positions.copy()
    places = itertools.cycle([start, start + MOVE])

    def step() -> None:
        atoms.positions = next(places)
        atoms.get_forces()

    return {
        "step without the program": step,
        "  ASE: has anything changed?": lambda: calc.check_state(atoms),
        "  ASE: copy of the atoms": lambda: calc._prepared_copy(atoms, calc._calculated),
        "  edges": lambda: calc.neighbours.edges(*geometry(atoms)),
        "  graph": lambda: calc._without_edges.with_edges(*edges),
        "  checks": lambda: calc.evaluator.check(graph, weights),
        "  inputs": lambda: program_inputs(graph, weights, program.device, program.dtype),
        "  energies": lambda: (torch.linalg.vecdot(weights, energies), energies.sum(0).tolist()),
        "  forces": lambda: operators.results_of_edges(*results, 1.0, 1.0),
    }


def microseconds(part: Callable[[], object]) -> float:
    """Time of a call."""
    times = []
    for _ in range(N_REPEATS):
        start = time.perf_counter_ns()
        part()
        times.append(time.perf_counter_ns() - start)
    return float(np.percentile(times, SHARE)) / 1e3


if __name__ == "__main__":
    main()
