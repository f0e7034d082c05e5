"""Peak memory of a step, in a process of its own.

Programs keep memory from step to step, in proportion to the largest system so far. So the baseline
is a process that has evaluated one atom of each element and no more: it has loaded and
warmed up everything, and keeps next to nothing.
"""

from __future__ import annotations

from dataclasses import replace

from ase import Atoms

from mhff_bench.contenders import Contender
from mhff_bench.turns import as_request

SPACING = 2.0
"""Distance between the atoms of the smallest system, A."""
BOX = 24.0
"""Edge of its cubic cell, A."""


def one_of_each(atoms: Atoms) -> Atoms:
    """A chain with one atom of each element of a system, in a periodic box."""
    symbols = list(dict.fromkeys(atoms.get_chemical_symbols()))
    positions = [[1.0 + SPACING * index, BOX / 2, BOX / 2] for index in range(len(symbols))]
    return Atoms(symbols, positions=positions, cell=[BOX] * 3, pbc=True)


def peak_memory(contender: Contender, atoms: Atoms) -> dict[str, int]:
    """Bytes: `loaded`, of a process that has evaluated `one_of_each`; `more`, for one step beside.

    The step makes its neighbour list. The allocator has its defaults.
    """
    with replace(contender, environment={}).start() as worker:
        worker.ask("prepare", as_request(one_of_each(atoms)))
        worker.ask("run", 1)
        loaded = worker.ask("memory", "start")["bytes"]
        worker.ask("prepare", as_request(atoms))
        worker.ask("run", 1)
        return {"loaded": loaded, "more": max(0, worker.ask("memory", "peak")["bytes"] - loaded)}
