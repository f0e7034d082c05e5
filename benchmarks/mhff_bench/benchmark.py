"""A whole benchmark: every size, all contenders in turns, memory of each, what it must cost at
least; one report.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms

from mhff.atoms import species_indices
from mhff.errors import MHFFError
from mhff.modelfile import is_model_file, load, model_path
from mhff.neighbours import neighbour_list
from mhff.opening import read_capabilities
from mhff_bench.contenders import Choice, Contender, contenders
from mhff_bench.count import Count, multiply_adds
from mhff_bench.engines import MATRIX_PRODUCT, MULTIPLY_ADDS_OF_PRODUCT
from mhff_bench.report import Floor, Point, Report
from mhff_bench.systems import DEFAULT_SIZES, find_system
from mhff_bench.turns import as_request, peak_memory, take_turns
from mhff_bench.worker import Worker

SAME_ENERGY = {"float32": 1e-4, "float64": 1e-6}
"""Largest difference of the contenders' energies, eV per atom, beside the precision of a large
total energy.
"""
RELATIVE = 1e-7
"""Of float32."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure and how often."""

    choice: Choice
    system: str = "mgo"
    sizes: tuple[int, ...] | None = None
    """Numbers of atoms; None for the system's usual ones."""
    rounds: int = 7
    block: float = 0.3
    """How long a contender's turn takes, s."""
    longest: float = 30.0
    """A contender whose step would take longer, s, is left out of larger sizes."""
    memory: bool = True

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise MHFFError(f"expected one round or more, got {self.rounds}")
        for n_atoms in self.all_sizes:
            find_system(self.system).atoms(n_atoms)

    @property
    def all_sizes(self) -> tuple[int, ...]:
        """Numbers of atoms, ascending."""
        find_system(self.system)
        return tuple(sorted(set(self.sizes or DEFAULT_SIZES[self.system])))


def bench(plan: Plan, say: Say = lambda sentence: None) -> Report:
    """Measure; `say` is told what is being done. Raises MHFFError for what cannot be measured or
    does not agree.
    """
    system = find_system(plan.system)
    systems = [system.atoms(n_atoms) for n_atoms in plan.all_sizes]
    described = read_capabilities(plan.choice.model)
    described.head_row(plan.choice.head)
    species_indices(systems[0].get_chemical_symbols(), described.elements)
    taking_part = contenders(plan.choice)
    points: list[Point] = []
    with ExitStack() as stack:
        workers = []
        for contender in taking_part:
            say(
                f"opening {contender.label} (what is not in a cache yet is compiled, which can "
                "take minutes)"
            )
            workers.append(stack.enter_context(contender.start()))
        about = [worker.about for worker in workers]
        for atoms in systems:
            points += _time(plan, atoms, taking_part, workers, points, say)
    if plan.memory:
        for point in points:
            if point.contender.computes:
                say(f"memory of {point.contender.label}, {point.n_atoms} atoms")
                atoms = system.atoms(point.n_atoms)
                point.memory = peak_memory(point.contender, systems[0], atoms)
    neighbours = {len(atoms): neighbours_per_atom(atoms, described.r_max) for atoms in systems}
    return Report(
        model=str(plan.choice.model),
        system=plan.system,
        head=plan.choice.head,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        versions={name: version(name) for name in ("mhff", "torch", "numpy", "ase")},
        contenders=list(zip(taking_part, about, strict=True)),
        neighbours=neighbours,
        points=points,
        floors=floors(plan.choice.model, neighbours, points),
    )


def _time(
    plan: Plan,
    atoms: Atoms,
    taking_part: Sequence[Contender],
    workers: Sequence[Worker],
    before: Sequence[Point],
    say: Say,
) -> list[Point]:
    """Times of one system, of all contenders that are not too slow for it."""
    able = []
    for contender, worker in zip(taking_part, workers, strict=True):
        seconds = _expected(contender, len(atoms), before)
        if seconds > plan.longest:
            say(
                f"{contender.label} is left out of {len(atoms)} atoms: a step would take "
                f"{seconds:.0f} s"
            )
        else:
            able.append((contender, worker))
    say(f"{len(atoms)} atoms: {', '.join(contender.label for contender, _ in able)}")
    request = as_request(atoms)
    energies = [worker.ask("prepare", request)["energy"] for _, worker in able]
    check_energies([contender for contender, _ in able], energies, len(atoms))
    times = take_turns([worker for _, worker in able], plan.rounds, plan.block)
    return [
        Point(len(atoms), contender, energy, taken.n_steps, taken.wall, taken.cpu)
        for (contender, _), energy, taken in zip(able, energies, times, strict=True)
    ]


def _expected(contender: Contender, n_atoms: int, before: Sequence[Point]) -> float:
    """Seconds of a step, in proportion to the largest system so far; 0 where nothing is known."""
    own = [point for point in before if point.contender is contender]
    return own[-1].seconds.median * n_atoms / own[-1].n_atoms if own and contender.computes else 0.0


def check_energies(
    taking_part: Sequence[Contender], energies: Sequence[float], n_atoms: int
) -> None:
    """Refuse to compare contenders that do not compute the same thing."""
    found = [
        (contender, energy)
        for contender, energy in zip(taking_part, energies, strict=True)
        if contender.computes
    ]
    for contender, energy in found[1:]:
        first, expected = found[0]
        least = max(SAME_ENERGY[contender.dtype], SAME_ENERGY[first.dtype])
        if not abs(energy - expected) / n_atoms <= least + RELATIVE * abs(expected) / n_atoms:
            raise MHFFError(
                f"expected the same energy of {n_atoms} atoms, got {expected:.6f} eV of "
                f"{first.label} and {energy:.6f} eV "
                f"of {contender.label}; give the file that the model was imported from, and the "
                "same --head"
            )


def neighbours_per_atom(atoms: Atoms, r_max: float) -> float:
    """Edges per atom."""
    edge_index, _ = neighbour_list(
        atoms.positions, np.asarray(atoms.cell[:]), np.asarray(atoms.pbc), r_max
    )
    return edge_index.shape[1] / len(atoms)


def floors(model: str, neighbours: dict[int, float], points: Sequence[Point]) -> list[Floor]:
    """What each size must cost at least, for each precision; none for an artefact, which does not
    tell its architecture.
    """
    path = model_path(model)
    if not is_model_file(path):
        return []
    config = load(path).network.config
    found = []
    for point in points:
        if point.contender.engine == MATRIX_PRODUCT.name:
            count: Count = multiply_adds(config, neighbours[point.n_atoms])
            rates = [MULTIPLY_ADDS_OF_PRODUCT / seconds for seconds in point.wall]
            found.append(
                Floor(point.n_atoms, point.contender.dtype, point.contender.threads, count, rates)
            )
    return found


def machine() -> dict[str, object]:
    """What the times depend on."""
    import os

    import torch

    names = [
        line.split(":", 1)[1].strip()
        for line in (
            Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
        )
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 2),
    }
