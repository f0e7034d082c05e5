"""A head as a potential: energies, forces and stresses of many structures at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from mhff import MHFFCalculator
from mhff.evaluator import Evaluator
from mhff.many.compute import compute


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

    def calculator(self) -> Calculator:
        """See `Potential.calculator`."""
        return MHFFCalculator(self._evaluator, head=self._head)

    def evaluate(self, structures: Sequence[Atoms]) -> list[Prediction]:
        """See `Potential.evaluate`; structures are evaluated side by side."""
        found = compute(self._evaluator, structures, self._head, workers=0)
        return [
            Prediction(
                atoms.get_potential_energy(),
                atoms.get_forces(),
                atoms.get_stress(voigt=False) if "stress" in atoms.calc.results else None,
            )
            for atoms in found
        ]

    def exact_hessian(self, atoms: Atoms) -> np.ndarray | None:
        """See `Potential.exact_hessian`."""
        return MHFFCalculator(self._evaluator, head=self._head).get_hessian(atoms)
