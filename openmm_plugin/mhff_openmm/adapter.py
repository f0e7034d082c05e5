"""One evaluation in OpenMM's units: positions to neighbours to program to energy and forces."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from openmm import unit

from mhff.atoms import species_indices
from mhff.errors import MHFFError
from mhff.evaluator import Evaluator, check_finite
from mhff.graph import Graph, graph_without_edges
from mhff.trajectories import VerletLists

KJ_PER_MOL_PER_EV = (
    1.0 * unit.AVOGADRO_CONSTANT_NA * unit.elementary_charge * unit.volt
).value_in_unit(unit.kilojoule_per_mole)
"""kJ/mol in one eV per particle, from OpenMM's own constants."""
ANGSTROM_PER_NM = (1.0 * unit.nanometer).value_in_unit(unit.angstrom)

FORCE_UNIT = KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM
"""kJ/mol/nm in one eV/A."""

OPEN = np.zeros(3, bool)
PERIODIC = np.ones(3, bool)

Box = Sequence[Sequence[float]]


class Adapter:
    """A program with the neighbour lists of the Contexts that use it.

    OpenMM shares a force among all Contexts of a System without saying which of them calls, and
    Contexts may run in several threads. So nothing here belongs to one Context: the list is chosen
    by the positions, and head weights are read at every step.
    """

    def __init__(
        self, evaluator: Evaluator, symbols: Sequence[str], state: tuple[float, float], skin: float
    ) -> None:
        """`symbols` of the atoms; `state`: total charge and spin multiplicity; `skin`, A."""
        self.evaluator = evaluator
        capabilities = evaluator.capabilities
        device = torch.device(capabilities.device)
        self.symbols = list(symbols)
        self.device = device
        self.graph = _without_edges(self.symbols, capabilities.elements, state, device)
        self.operators = evaluator.list_operators()
        self.neighbours = VerletLists(capabilities.r_max, skin, device, self.operators)
        self._cell: tuple[Box | None, np.ndarray] = (None, np.zeros((3, 3)))
        """The box of the latest step, nm, and the same in A."""
        self._head_weights: tuple[tuple[float, ...], torch.Tensor] = ((), torch.empty(0))
        """Those of the latest step, one for each head, and a row of them for each atom."""
        self._extrapolations = _extrapolations(evaluator, self.symbols)
        """Warnings not yet given, by index of the head."""

    def evaluate(
        self, positions: np.ndarray, box: Box | None, head_weights: tuple[float, ...]
    ) -> tuple[float, np.ndarray]:
        """Energy, kJ/mol, and forces `[n, 3]`, kJ/mol/nm, float64.

        `positions [n, 3]` and three box vectors (None if not periodic) in nm;
        `head_weights [n_heads]`, used as given. Raises MHFFError for another number of atoms and
        for an energy or force that is not a finite number.
        """
        weights = self._weights(head_weights)
        node_energies, edge_gradients, index = self._evaluate(positions, box, weights)
        if self._extrapolations:
            self.warn_of_extrapolation(head_weights)
        results = self.operators.results_of_edges(
            edge_gradients, index, node_energies, weights, KJ_PER_MOL_PER_EV, FORCE_UNIT
        )
        forces = results[0].cpu().numpy()
        energy, all_forces = results[1].tolist()
        if not math.isfinite(energy + all_forces):
            check_finite(energy / KJ_PER_MOL_PER_EV, forces / FORCE_UNIT)
        return energy, forces

    def head_energies(self, positions: np.ndarray, box: Box | None) -> np.ndarray:
        """Energy of each head alone, `[n_heads]`, kJ/mol, float64, from one evaluation.

        Arguments and errors are those of `evaluate`.
        """
        n_heads = len(self.evaluator.capabilities.heads)
        weights = torch.zeros(len(self.symbols), n_heads, dtype=torch.float64, device=self.device)
        node_energies, _, _ = self._evaluate(positions, box, weights)
        self.warn_of_extrapolation([1.0] * n_heads)
        energies = node_energies.sum(0).cpu().numpy()
        check_finite(float(energies.sum()), np.zeros(0))
        return energies * KJ_PER_MOL_PER_EV

    def _evaluate(
        self, positions: np.ndarray, box: Box | None, weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Node energies, edge gradients (see `Evaluator.evaluate`) and edge index."""
        if len(positions) != len(self.symbols):
            raise MHFFError(
                f"this mhff force was made for {len(self.symbols)} particles, but OpenMM passed "
                f"{len(positions)}; make it again"
            )
        known, cell = self._cell
        if known != box:
            cell = np.zeros((3, 3)) if box is None else np.array(box) * ANGSTROM_PER_NM
            self._cell = (box, cell)
        pbc = OPEN if box is None else PERIODIC
        vectors, index = self.neighbours.edges(positions * ANGSTROM_PER_NM, cell, pbc)
        graph = self.graph.with_edges(vectors, index)
        return *self.evaluator.evaluate(graph, weights), index

    def _weights(self, head_weights: tuple[float, ...]) -> torch.Tensor:
        """The weights of all heads for each atom, `[n, n_heads]`; they seldom change."""
        known, rows = self._head_weights
        if known != head_weights:
            row = torch.tensor(head_weights, dtype=torch.float64, device=self.device)
            rows = row.repeat(len(self.symbols), 1)
            self._head_weights = (head_weights, rows)
        return rows

    def warn_of_extrapolation(self, head_weights: Sequence[float]) -> None:
        """Warn, once for each head, of elements that a head in use was not trained on."""
        for number in [number for number in self._extrapolations if head_weights[number]]:
            sentence = self._extrapolations.pop(number, None)
            if sentence is not None:  # otherwise another thread was first
                warnings.warn(sentence, UserWarning, stacklevel=4)


def _without_edges(
    symbols: Sequence[str],
    elements: Sequence[str],
    state: tuple[float, float],
    device: torch.device,
) -> Graph:
    """The part of the graph that is the same at each step."""
    species = species_indices(symbols, elements).to(device)
    states = torch.tensor([state], dtype=torch.float64).repeat(len(symbols), 1).to(device)
    return graph_without_edges(species, torch.float64, state=states)


def _extrapolations(evaluator: Evaluator, symbols: Sequence[str]) -> dict[int, str]:
    """Warnings about heads that were not trained on all of these elements, by head index."""
    heads = evaluator.capabilities.heads
    sentences = {}
    for number, row in enumerate(torch.eye(len(heads))):
        for sentence in heads.extrapolations(row, symbols):
            sentences[number] = sentence
    return sentences
