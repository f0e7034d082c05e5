"""A head as a potential: energies, forces and stresses of many structures at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator

from mhff import MHFFCalculator
from mhff.atoms import graph_from_atoms
from mhff.evaluator import Evaluator
from mhff.graph import Graph, collate
from mhff.model import derivatives
from mhff.state import state_of

MAX_EDGES = 20_000
"""Edges of a batch, unless one structure alone has more."""


@dataclass(frozen=True)
class Prediction:
    """A potential's results for one structure."""

    energy: float
    """eV."""
    forces: np.ndarray
    """`[n, 3]`, eV/A."""
    stress: np.ndarray | None
    """`[3, 3]`, eV/A^3; None without a cell."""


class Potential(Protocol):
    """Anything that gives energies and forces."""

    def calculator(self) -> Calculator:
        """A calculator of ASE, for relaxation and dynamics."""
        ...

    def evaluate(self, structures: Sequence[Atoms]) -> list[Prediction]:
        """Energies, forces and stresses of many structures, in order."""
        ...

    def exact_hessian(self, atoms: Atoms) -> np.ndarray | None:
        """Second derivatives `[3n, 3n]`, eV/A^2, row 3 i + x; None if there are no exact ones."""
        ...


def energies(potential: Potential, structures: Sequence[Atoms]) -> np.ndarray:
    """Energies of many structures, `[n]`, eV."""
    return np.array([each.energy for each in potential.evaluate(structures)])


class CalculatorPotential:
    """Any calculator of ASE as a potential, one structure after the other."""

    def __init__(self, calculator: Calculator) -> None:
        self._calculator = calculator

    def calculator(self) -> Calculator:
        """See `Potential.calculator`."""
        return self._calculator

    def evaluate(self, structures: Sequence[Atoms]) -> list[Prediction]:
        """See `Potential.evaluate`."""
        return [self._evaluate(atoms.copy()) for atoms in structures]

    def exact_hessian(self, atoms: Atoms) -> np.ndarray | None:
        """See `Potential.exact_hessian`."""
        return None

    def _evaluate(self, atoms: Atoms) -> Prediction:
        atoms.calc = self._calculator
        has_stress = atoms.cell.rank == 3 and "stress" in self._calculator.implemented_properties
        stress = atoms.get_stress(voigt=False) if has_stress else None
        return Prediction(atoms.get_potential_energy(), atoms.get_forces(), stress)


class HeadPotential:
    """A head of a model."""

    def __init__(self, evaluator: Evaluator, head: str) -> None:
        self._evaluator = evaluator
        self._head = head
        self._row = evaluator.capabilities.head_row(head)

    def calculator(self) -> Calculator:
        """See `Potential.calculator`."""
        return MHFFCalculator(self._evaluator, head=self._head)

    def evaluate(self, structures: Sequence[Atoms]) -> list[Prediction]:
        """See `Potential.evaluate`; small structures are evaluated side by side."""
        can = self._evaluator.capabilities
        graphs = (
            graph_from_atoms(
                atoms,
                can.elements,
                can.r_max,
                state_of(atoms, can.state_embeddings, can.default_state),
            )
            for atoms in structures
        )
        found: list[Prediction] = []
        for batch in _batches(graphs):
            found += self._evaluate(batch)
        return found

    def exact_hessian(self, atoms: Atoms) -> np.ndarray | None:
        """See `Potential.exact_hessian`."""
        return MHFFCalculator(self._evaluator, head=self._head).get_hessian(atoms)

    def _evaluate(self, graphs: Sequence[Graph]) -> list[Prediction]:
        graph = collate(graphs)
        weights = self._row.repeat(graph.n_local, 1)
        node_energies, gradients = self._evaluator.evaluate(graph, weights)
        atomic = (weights * node_energies.cpu()).sum(1)
        gradients = gradients.cpu().to(torch.float64)
        total = atomic.new_zeros(graph.n_structures).index_add(0, graph.structure, atomic)
        forces = derivatives.forces(gradients, graph.edge_index, graph.n_local)
        virials = derivatives.virial(
            gradients, graph.edge_vectors, graph.structure_of_edge, graph.n_structures
        )
        parts = torch.split(forces, [each.n_local for each in graphs])
        return [
            Prediction(energy, part.numpy(), _stress(virial, cell))
            for energy, part, virial, cell in zip(
                total.tolist(), parts, virials, graph.cells, strict=True
            )
        ]


def _stress(virial: torch.Tensor, cell: torch.Tensor) -> np.ndarray | None:
    """Stress `[3, 3]`; None without three lattice vectors."""
    if torch.linalg.matrix_rank(cell) < 3:
        return None
    stress: np.ndarray = derivatives.stress(virial[None], cell[None])[0].numpy()
    return stress


def _batches(graphs: Iterator[Graph]) -> Iterator[list[Graph]]:
    """Graphs in groups with a limited number of edges and atoms."""
    batch: list[Graph] = []
    size = 0
    for graph in graphs:
        own = graph.edge_index.shape[1] + graph.n_local
        if batch and size + own > MAX_EDGES:
            yield batch
            batch = []
            size = 0
        batch.append(graph)
        size += own
    if batch:
        yield batch
