"""One evaluation in OpenMM's units: positions to neighbours to program to energy and forces."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from openmm import unit

from mhff.errors import MHFFError
from mhff.evaluator import Evaluator
from mhff.graph import species_indices
from mhff.model.derivatives import forces
from mhff.verlet import VerletList

KJ_PER_MOL_PER_EV = (
    1.0 * unit.AVOGADRO_CONSTANT_NA * unit.elementary_charge * unit.volt
).value_in_unit(unit.kilojoule_per_mole)
"""kJ/mol in one eV per particle, from OpenMM's own constants."""
ANGSTROM_PER_NM = (1.0 * unit.nanometer).value_in_unit(unit.angstrom)


class Adapter:
    """A program together with what it keeps from step to step: the neighbour list and the head
    weights.
    """

    def __init__(
        self, evaluator: Evaluator, symbols: Sequence[str], state: tuple[float, float], skin: float
    ) -> None:
        """`symbols`: of the atoms; `state`: total charge and spin multiplicity; `skin` of the
        neighbour list, A.
        """
        self.evaluator = evaluator
        self.species = species_indices(symbols, evaluator.elements).to(evaluator.device)
        self.state = (
            torch.tensor([state], dtype=torch.float64).repeat(len(symbols), 1).to(evaluator.device)
        )
        self.symbols = list(symbols)
        self.neighbours = VerletList(evaluator.r_max, skin, evaluator.device)
        self._row: tuple[float, ...] = ()
        self._weights = torch.empty(0)
        self._warned: set[str] = set()

    def evaluate(
        self, positions: np.ndarray, box: np.ndarray | None, head_weights: tuple[float, ...]
    ) -> tuple[float, np.ndarray]:
        """Energy, kJ/mol, and forces `[n, 3]`, kJ/mol/nm, float64.

        `positions [n, 3]` and box vectors `[3, 3]` (rows; None if not periodic) in nm;
        `head_weights [n_heads]`, as given. Raises MHFFError for another number of atoms and for an
        energy or force that is not a finite number.
        """
        n_atoms = len(self.symbols)
        if len(positions) != n_atoms:
            raise MHFFError(
                f"this mhff force was made for {n_atoms} particles, OpenMM gave it "
                f"{len(positions)}; make it again"
            )
        if head_weights != self._row:
            self.set_head_weights(head_weights)
        cell = np.zeros((3, 3)) if box is None else box * ANGSTROM_PER_NM
        vectors, index = self.neighbours.edges(
            positions * ANGSTROM_PER_NM, cell, np.full(3, box is not None)
        )
        node_energies, edge_gradients = self.evaluator.evaluate(
            vectors, index, self.species, self._weights, state=self.state
        )
        energy = float((self._weights * node_energies).sum())
        atomic_forces = forces(edge_gradients.to(torch.float64), index, n_atoms).cpu().numpy()
        if not (np.isfinite(energy) and np.isfinite(atomic_forces).all()):
            raise MHFFError(
                f"expected finite numbers, got the energy {energy} eV and forces up to "
                f"{np.abs(atomic_forces).max()} eV/A; "
                "check that no two atoms coincide and that the head weights are finite, or use a "
                "shorter time step"
            )
        return energy * KJ_PER_MOL_PER_EV, atomic_forces * (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM)

    def set_head_weights(self, row: tuple[float, ...]) -> None:
        """Use these head weights `[n_heads]` from now on; warns, once each, of elements a head was
        not trained on.
        """
        self._row = row
        weights = torch.tensor(row, dtype=torch.float64)
        self._weights = weights.expand(len(self.symbols), -1).contiguous().to(self.evaluator.device)
        for head, elements in self.evaluator.heads.untrained(weights, self.symbols).items():
            sentence = (
                f"head '{head}' was not trained on {', '.join(elements)}; its numbers "
                "there "
                "are an extrapolation"
            )
            if sentence not in self._warned:
                self._warned.add(sentence)
                warnings.warn(sentence, UserWarning, stacklevel=3)
