"""A whole benchmark: times in turns, memory and the counted floor of all contenders."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
from ase import Atoms

from mhff.atoms import species_indices
from mhff.errors import MHFFError
from mhff.filekinds import Say
from mhff.modelfile import is_model_file, load, model_path
from mhff.neighbours import neighbour_list
from mhff.opening import read_capabilities
from mhff_bench.contenders import Choice, Contender, contenders
from mhff_bench.count import multiply_adds
from mhff_bench.engines import MATRIX_PRODUCT, MULTIPLY_ADDS_OF_PRODUCT
from mhff_bench.machine import machine
from mhff_bench.memory import peak_memory
from mhff_bench.report import Floor, Point, Report
from mhff_bench.systems import DEFAULT_SIZES, find_system
from mhff_bench.turns import as_request, take_turns
from mhff_bench.worker import Worker

ENERGY_TOLERANCE = {"float32": 1e-4, "float64": 1e-6}
"""Largest difference of contenders' energies by precision, eV per atom."""
RELATIVE_TOLERANCE = 1e-7
"""Largest relative difference, for large total energies rounded to float32."""
PACKAGES = ("mhff", "torch", "numpy", "ase")
"""Packages whose versions are reported."""


@dataclass(frozen=True)
class Plan:
    """The sizes to measure, and how often; raises MHFFError for a plan that makes no sense."""

    choice: Choice
    system: str = "mgo"
    sizes: tuple[int, ...] | None = None
    """Numbers of atoms; None for the system's default sizes."""
    rounds: int = 7
    block: float = 0.3
    """Length of a contender's turn, s."""
    max_seconds: float = 30.0
    """A contender skips sizes at which a step would take longer, s."""
    memory: bool = True

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise MHFFError(f"expected one round or more, got {self.rounds}")
        self.systems()

    def systems(self) -> list[Atoms]:
        """The systems to measure, by ascending number of atoms."""
        system = find_system(self.system)
        return [system.atoms(n) for n in sorted(set(self.sizes or DEFAULT_SIZES[self.system]))]


@dataclass(frozen=True)
class Entrant:
    """A contender with its running worker."""

    contender: Contender
    worker: Worker


def bench(plan: Plan, say: Say = lambda sentence: None) -> Report:
    """Measure; `say` reports the progress.

    Raises MHFFError if a contender cannot run, and for contenders that disagree.
    """
    systems = plan.systems()
    r_max = _check_model(plan.choice, systems[0])
    points: list[Point] = []
    with ExitStack() as stack:
        entrants = [
            Entrant(contender, stack.enter_context(_open(contender, say)))
            for contender in contenders(plan.choice)
        ]
        for atoms in systems:
            points += _time(plan, atoms, entrants, points, say)
    if plan.memory:
        _measure_memory(points, systems, say)
    neighbours = {len(atoms): neighbours_per_atom(atoms, r_max) for atoms in systems}
    return Report(
        model=str(plan.choice.model),
        system=plan.system,
        head=plan.choice.head,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        versions={name: version(name) for name in PACKAGES},
        contenders=[(entrant.contender, entrant.worker.about) for entrant in entrants],
        neighbours=neighbours,
        points=points,
        floors=floors(plan.choice.model, neighbours, points),
    )


def _check_model(choice: Choice, atoms: Atoms) -> float:
    """The model's cutoff, A; raises MHFFError for a wrong head or elements that it lacks."""
    described = read_capabilities(choice.model)
    described.head_row(choice.head)
    species_indices(atoms.get_chemical_symbols(), described.elements)
    return described.r_max


def _open(contender: Contender, say: Say) -> Worker:
    say(f"opening {contender.label}")
    return contender.start()


def _time(
    plan: Plan, atoms: Atoms, entrants: Sequence[Entrant], before: Sequence[Point], say: Say
) -> list[Point]:
    """Times of one system, for all contenders that are quick enough."""
    able = []
    for entrant in entrants:
        seconds = _expected(entrant.contender, len(atoms), before)
        if seconds > plan.max_seconds:
            say(
                f"{entrant.contender.label} is left out of {len(atoms)} atoms: a step would take "
                f"{seconds:.0f} s"
            )
        else:
            able.append(entrant)
    taking_part = [entrant.contender for entrant in able]
    request = as_request(atoms)
    energies = []
    for entrant in able:
        say(
            f"{len(atoms)} atoms, preparing {entrant.contender.label} (what is not in a cache yet "
            "is compiled, which can take minutes)"
        )
        energies.append(entrant.worker.ask("prepare", request)["value"])
    say(f"{len(atoms)} atoms, taking turns")
    check_energies(taking_part, energies, len(atoms))
    times = take_turns(
        [entrant.worker for entrant in able],
        plan.rounds,
        plan.block,
        [contender.min_steps for contender in taking_part],
    )
    return [
        Point(len(atoms), contender, energy, taken.n_steps, taken.wall, taken.cpu, taken.adapter)
        for contender, energy, taken in zip(taking_part, energies, times, strict=True)
    ]


def _expected(contender: Contender, n_atoms: int, before: Sequence[Point]) -> float:
    """Seconds of a step, in proportion to the largest system so far; 0 if nothing is known."""
    own = [point for point in before if point.contender is contender]
    if not own or not contender.computes:
        return 0.0
    return own[-1].seconds.median * n_atoms / own[-1].n_atoms


def _measure_memory(points: Sequence[Point], systems: Sequence[Atoms], say: Say) -> None:
    """Add the memory of each point whose contender can be started again."""
    by_size = {len(atoms): atoms for atoms in systems}
    for point in points:
        peer = point.contender.peer
        if point.contender.computes and (peer is None or peer.starts_quickly):
            say(f"memory of {point.contender.label}, {point.n_atoms} atoms")
            point.memory = peak_memory(point.contender, by_size[point.n_atoms])


def check_energies(
    taking_part: Sequence[Contender], energies: Sequence[float], n_atoms: int
) -> None:
    """Raise MHFFError for contenders that do not compute the same energy."""
    found = [
        (contender, energy)
        for contender, energy in zip(taking_part, energies, strict=True)
        if contender.computes
    ]
    for contender, energy in found[1:]:
        first, expected = found[0]
        absolute = max(ENERGY_TOLERANCE[contender.dtype], ENERGY_TOLERANCE[first.dtype])
        tolerance = absolute + RELATIVE_TOLERANCE * abs(expected) / n_atoms
        if not abs(energy - expected) / n_atoms <= tolerance:  # true of NaN, too
            raise MHFFError(
                f"expected the same energy of {n_atoms} atoms, got {expected:.6f} eV of "
                f"{first.label} and {energy:.6f} eV of {contender.label}; give the file that the "
                "model was imported from, and the same --head"
            )


def neighbours_per_atom(atoms: Atoms, r_max: float) -> float:
    """Edges per atom."""
    edge_index, _ = neighbour_list(
        atoms.positions, np.asarray(atoms.cell[:]), np.asarray(atoms.pbc), r_max
    )
    return edge_index.shape[1] / len(atoms)


def floors(model: str, neighbours: dict[int, float], points: Sequence[Point]) -> list[Floor]:
    """The floor of each size and precision; none for an artefact, whose architecture is unknown."""
    path = model_path(model)
    if not is_model_file(path):
        return []
    config = load(path).network.config
    found = []
    for point in points:
        contender = point.contender
        if contender.engine == MATRIX_PRODUCT.name:
            count = multiply_adds(config, neighbours[point.n_atoms])
            rates = [MULTIPLY_ADDS_OF_PRODUCT / seconds for seconds in point.wall]
            found.append(Floor(point.n_atoms, contender.dtype, contender.threads, count, rates))
    return found
