"""Our engines as contenders: each evaluates steps of one model.

Components contribute theirs (`mhff.engines`); those that need no other software are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from ase import Atoms

from mhff.atoms import graph_from_atoms
from mhff.calculator import MHFFCalculator
from mhff.engines import Engine, Steps, atoms_of, engines
from mhff.errors import MHFFError, listing
from mhff.model.derivatives import forces
from mhff.opening import open_evaluator, read_capabilities
from mhff.options import CompileOptions, Form, Precision
from mhff_bench.workers.dynamics import Dynamics

MOVE_LENGTH = 1e-3
"""Distance that an atom moves to and fro, A, so that each step is a new structure."""
MATRIX_SIZE = 2048
"""Rows and columns of the matrices whose product measures the machine's rate."""


def benchmarked() -> dict[str, Engine]:
    """Engines that can be measured and are installed, by name."""
    own = {engine.name: engine for engine in (PYTHON, ASE, NEIGHBOURS)}
    return own | {name: engine for name, engine in engines().items() if engine.bench}


def engine_names() -> tuple[str, ...]:
    """Names of the engines that can be measured."""
    return tuple(sorted(benchmarked()))


def find_engine(name: str) -> Engine:
    """The engine of a name; raises MHFFError naming those that exist."""
    if name == MATRIX_PRODUCT.name:
        return MATRIX_PRODUCT
    found = benchmarked()
    if name not in found:
        raise MHFFError(f"unknown engine '{name}': choose one of {listing(sorted(found))}")
    return found[name]


def options_of(request: Mapping[str, Any]) -> CompileOptions:
    """The compile options of a request."""
    return CompileOptions.model_validate(
        {
            "precision": request["dtype"],
            "form": request["form"],
            "device": request["device"],
        }
    )


class Moving:
    """A structure in which one atom moves to and fro."""

    def __init__(self) -> None:
        self.atoms = Atoms()
        self.next = MOVE_LENGTH

    def move(self) -> Atoms:
        """The structure after the next move."""
        self.atoms.positions[0, 0] += self.next
        self.next = -self.next
        return self.atoms


class ReadyList:
    """`Evaluator.evaluate` with a ready neighbour list, and forces on atoms."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.evaluator = open_evaluator(options["model"], options_of(options))
        self.head = options["head"]
        self.about = {"torch": torch.__version__}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `mhff.engines.Steps`."""
        can = self.evaluator.capabilities
        atoms = atoms_of(system)
        graph = graph_from_atoms(atoms, can.elements, can.r_max, can.default_state)
        self.graph = graph.to(can.device, torch.float64)
        weights = can.head_row(self.head).expand(len(atoms), -1).contiguous()
        self.weights = weights.to(can.device)
        return self._step()

    def run(self, n_steps: int) -> None:
        """See `mhff.engines.Steps`."""
        for _ in range(n_steps):
            self._step()

    def _step(self) -> float:
        graph = self.graph
        energies, gradients = self.evaluator.evaluate(graph, self.weights)
        forces(gradients.to(torch.float64), graph.edge_index, graph.n_local)
        return float((self.weights * energies).sum())


class NeighbourList(Moving):
    """The neighbour list alone."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.capabilities = read_capabilities(options["model"])
        self.about = {"torch": torch.__version__}

    def prepare(self, system: dict[str, Any]) -> float:
        """Takes the system; there is no energy."""
        self.atoms = atoms_of(system)
        self.run(1)
        return float("nan")

    def run(self, n_steps: int) -> None:
        """See `mhff.engines.Steps`."""
        for _ in range(n_steps):
            graph_from_atoms(self.move(), self.capabilities.elements, self.capabilities.r_max)


class MatrixProduct:
    """A step is the product of two large matrices."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (MATRIX_SIZE, MATRIX_SIZE)
        dtype = Precision(options["dtype"]).dtype
        factors = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        self.a, self.b = (factor.to(options["device"]) for factor in factors)
        self.out = torch.empty_like(self.a)
        self.about = {"torch": torch.__version__}

    def prepare(self, system: dict[str, Any]) -> float:
        """Does nothing: the matrices are the same for all systems."""
        return float("nan")

    def run(self, n_steps: int) -> None:
        """See `mhff.engines.Steps`."""
        for _ in range(n_steps):
            torch.mm(self.a, self.b, out=self.out)
        self.out[0, 0].item()  # wait for a GPU


def calculator_dynamics(options: Mapping[str, Any]) -> Steps:
    """Dynamics in ASE with the calculator, which keeps a neighbour list with a skin."""
    calculator = MHFFCalculator(
        options["model"], options["head"], options["device"], options["dtype"], options["form"]
    )
    return Dynamics(calculator, {"torch": torch.__version__})


PYTHON = Engine("python", forms=tuple(Form), bench=ReadyList)
ASE = Engine("ase", forms=tuple(Form), bench=calculator_dynamics)
NEIGHBOURS = Engine("neighbours", bench=NeighbourList)
MATRIX_PRODUCT = Engine("matrix product", bench=MatrixProduct)
MULTIPLY_ADDS_OF_PRODUCT = MATRIX_SIZE**3
