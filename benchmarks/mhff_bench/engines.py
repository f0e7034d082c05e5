"""Our engines as contenders: each evaluates steps of one model. Components contribute theirs by the
group `mhff.benches`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import torch
from ase import Atoms

from mhff.calculator import MHFFCalculator
from mhff.errors import MHFFError, listing
from mhff.evaluator import FORMS, open_evaluator, resolve_dtype
from mhff.graph import graph_from_atoms
from mhff.model.derivatives import forces
from mhff_bench.workers.serving import Contender

MOVE = 1e-3
"""How far an atom moves to and fro between two steps, A, so that no calculator takes them for the
same structure.
"""
MATRIX = 2048
"""Rows and columns of the matrices whose product is the measure of what the machine can do."""


@dataclass(frozen=True)
class Engine:
    """A way to run programs, in a worker."""

    name: str
    forms: tuple[str, ...]
    """Forms of programs that it runs; none where it runs no program."""
    open: Callable[[dict[str, Any]], Contender]
    """Makes a contender; its options are `model` (path), `form`, `dtype`, `head` and `threads`."""


def engine_names() -> tuple[str, ...]:
    """Engines that are installed."""
    return tuple(sorted(entry.name for entry in entry_points(group="mhff.benches")))


def find_engine(name: str) -> Engine:
    """The engine of a name; raises MHFFError naming those that exist."""
    if name == MATRIX_PRODUCT.name:
        return MATRIX_PRODUCT
    found = {entry.name: entry for entry in entry_points(group="mhff.benches")}
    if name not in found:
        raise MHFFError(f"unknown engine '{name}': choose one of {listing(sorted(found))}")
    try:
        engine: Engine = found[name].load()
    except ImportError as error:
        raise MHFFError(
            f"the engine '{name}' needs {error.name}, which is not installed; install it or leave "
            "it out"
        ) from error
    return engine


def atoms_of(system: dict[str, Any]) -> Atoms:
    """The system of a request as ASE has it."""
    return Atoms(
        numbers=system["numbers"],
        positions=system["positions"],
        cell=system["cell"],
        pbc=system["pbc"],
    )


class Moving:
    """A structure of which one atom moves to and fro."""

    def __init__(self) -> None:
        self.atoms, self.next = Atoms(), MOVE

    def move(self) -> Atoms:
        """The structure after the next move."""
        self.atoms.positions[0, 0] += self.next
        self.next = -self.next
        return self.atoms


class ReadyList:
    """`Evaluator.evaluate` with a ready neighbour list, and forces on atoms."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.evaluator = open_evaluator(options["model"], "cpu", options["dtype"], options["form"])
        self.head, self.about = (
            options["head"] or self.evaluator.default_head,
            {"torch": torch.__version__},
        )

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        evaluator = self.evaluator
        self.graph = graph_from_atoms(
            atoms_of(system), evaluator.elements, evaluator.r_max, evaluator.default_state
        )
        self.weights = evaluator.heads.row(self.head).expand(self.graph.n_atoms, -1).contiguous()
        self.state = self.graph.state_of_atom
        return self._step()

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            self._step()

    def _step(self) -> float:
        graph = self.graph
        energies, gradients = self.evaluator.evaluate(
            graph.edge_vectors, graph.edge_index, graph.species, self.weights, state=self.state
        )
        forces(gradients.to(torch.float64), graph.edge_index, graph.n_atoms)
        return float((self.weights * energies).sum())


class Calculated(Moving):
    """Steps of the ASE calculator, which makes the neighbour list anew each time."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.calculator = MHFFCalculator(
            options["model"], options["head"], "cpu", options["dtype"], options["form"]
        )
        self.about = {"torch": torch.__version__}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        self.atoms = atoms_of(system)
        self.calculator.calculate(self.atoms, ["energy", "forces"])
        return float(self.calculator.results["energy"])

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            self.calculator.calculate(self.move(), ["energy", "forces"])


class NeighbourList(Moving):
    """The neighbour list alone."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        described = open_evaluator(options["model"])
        self.elements, self.r_max, self.about = (
            described.elements,
            described.r_max,
            {"torch": torch.__version__},
        )

    def prepare(self, system: dict[str, Any]) -> float:
        """Takes the system; there is no energy."""
        self.atoms = atoms_of(system)
        self.run(1)
        return float("nan")

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            graph_from_atoms(self.move(), self.elements, self.r_max)


class MatrixProduct:
    """A step is the product of two large matrices."""

    def __init__(self, options: dict[str, Any]) -> None:
        generator = torch.Generator().manual_seed(0)
        shape, dtype = (MATRIX, MATRIX), resolve_dtype(options["dtype"])
        self.a, self.b = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        self.out, self.about = torch.empty(shape, dtype=dtype), {"torch": torch.__version__}

    def prepare(self, system: dict[str, Any]) -> float:
        """Does nothing: the matrices are the same for all systems."""
        return float("nan")

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            torch.mm(self.a, self.b, out=self.out)


PYTHON = Engine("python", FORMS, ReadyList)
ASE = Engine("ase", FORMS, Calculated)
NEIGHBOURS = Engine("neighbours", (), NeighbourList)
MATRIX_PRODUCT = Engine("matrix product", (), MatrixProduct)
MULTIPLY_ADDS_OF_PRODUCT = MATRIX**3
