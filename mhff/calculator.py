"""The ASE calculator."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from mhff.evaluator import Evaluator, open_evaluator
from mhff.graph import Graph, geometry, species_indices, with_edges
from mhff.heads import HeadSpec
from mhff.model import derivatives
from mhff.modelfile import Model
from mhff.state import CHARGE_KEY, SPIN_KEY
from mhff.verlet import VerletList, check_skin

SKIN = 0.5
"""Of the neighbour list, A, that suits most simulations."""
HEAD_KEY = "mhff_head"
"""`atoms.info[HEAD_KEY]` (a name) and `atoms.arrays[HEAD_KEY]` (a name per atom) override the
calculator's head.
"""


class MHFFCalculator(Calculator):
    """Energy, free energy, forces, stress and energies per atom from a model, a model file or an
    artefact.

    The head is a name or a mix, as `{"materials": 0.5, "surfaces": 0.5}`.
    `results["head_energies"]` holds the total energy of every head, which comes with each
    evaluation. Models that take a total charge or a spin multiplicity (2S + 1) read
    `atoms.info["charge"]` and `atoms.info["spin"]`, by default 0 and 1.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 - ASE's own name

    def __init__(
        self,
        model: str | os.PathLike[str] | Model | Evaluator,
        head: HeadSpec | None = None,
        device: str = "cpu",
        dtype: str | None = None,
        form: str | None = None,
        skin: float = SKIN,
    ) -> None:
        """`model`: path, `"mini"`, `mhff.load(...)` or an artefact; `dtype`: "float32" (MD) or
        "float64" (optimisation).

        `dtype` None means float64 for a model and what it was compiled in for an artefact. `form`
        is what a model runs as: "eager", or "aoti" or "torchscript", to which it is compiled once,
        in the compile cache. `skin`, A: along a trajectory in one cell, neighbours are searched
        anew only when an atom has moved half of it; 0: at every step.

        Raises MHFFError for an unknown head. `head` may be left out where there is only one, or
        where each structure names its own in `mhff_head`; where neither is so, the first
        calculation raises.
        """
        super().__init__()
        self.evaluator = open_evaluator(model, device, dtype, form)
        self.head = head if head is not None else self.evaluator.default_head
        if self.head is not None or len(self.evaluator.heads) == 1:
            self.evaluator.heads.row(self.head)  # a wrong head is told now, not at the first energy
        self._warned: set[str] = set()
        check_skin(skin, SKIN)
        self.neighbours = VerletList(self.evaluator.r_max, skin)
        self._symbols: list[str] = []
        self._species = torch.zeros(0, dtype=torch.int64)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's entry point; fills `self.results`."""
        super().calculate(atoms, list(properties), list(system_changes))
        atoms = cast(Atoms, self.atoms)  # ASE's copy of the structure
        evaluator = self.evaluator
        graph = self._graph(atoms)
        weights = self.head_weights(atoms)
        self._warn_untrained(weights, self._symbols)
        node_energies, edge_gradients = evaluator.evaluate(
            graph.edge_vectors, graph.edge_index, graph.species, weights, state=graph.state_of_atom
        )
        node_energies, edge_gradients = node_energies.cpu(), edge_gradients.cpu().to(torch.float64)
        energies = (weights * node_energies).sum(1)
        self.results = {
            "energy": float(energies.sum()),
            "free_energy": float(energies.sum()),
            "energies": energies.numpy(),
            "forces": derivatives.forces(edge_gradients, graph.edge_index, graph.n_atoms).numpy(),
            "head_energies": dict(
                zip(evaluator.heads.names, node_energies.sum(0).tolist(), strict=True)
            ),
        }
        if atoms.cell.rank == 3:
            virials = derivatives.virial(
                edge_gradients, graph.edge_vectors, graph.structure_of_edge, 1
            )
            self.results["stress"] = full_3x3_to_voigt_6_stress(
                derivatives.stress(virials, graph.cells)[0].numpy()
            )
        elif "stress" in properties:
            raise PropertyNotImplementedError("stress needs a cell with three lattice vectors")

    def _graph(self, atoms: Atoms) -> Graph:
        symbols = atoms.get_chemical_symbols()
        if symbols != self._symbols:
            self._species = species_indices(symbols, self.evaluator.elements)
            self._symbols = symbols
        vectors, index = self.neighbours.edges(*geometry(atoms))
        return with_edges(atoms, vectors, index, self._species, self.evaluator.default_state)

    def head_weights(self, atoms: Atoms) -> torch.Tensor:
        """Head weights `[n_atoms, n_heads]` of a structure: its own `mhff_head`, or the
        calculator's head.
        """
        heads = self.evaluator.heads
        if HEAD_KEY in atoms.arrays:
            return heads.rows([str(name) for name in atoms.arrays[HEAD_KEY]])
        return heads.row(atoms.info.get(HEAD_KEY, self.head)).expand(len(atoms), -1)

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Changes since the last calculation, the head and the charge and spin of the structure
        among them.
        """
        changes: list[str] = super().check_state(atoms, tol)
        if self.atoms is not None:
            if not _same_heads(self.atoms, atoms):
                changes.append(HEAD_KEY)
            changes += [
                key
                for key in (CHARGE_KEY, SPIN_KEY)
                if self.atoms.info.get(key) != atoms.info.get(key)
            ]
        return changes

    def set_head(self, head: HeadSpec) -> None:
        """Choose another head or mix; results are calculated anew."""
        self.evaluator.heads.row(head)
        self.head = head
        self.reset()

    def _warn_untrained(self, weights: torch.Tensor, symbols: list[str]) -> None:
        for head, elements in self.evaluator.heads.untrained(weights, symbols).items():
            sentence = (
                f"head '{head}' was not trained on {', '.join(elements)}; its numbers "
                "there "
                "are an extrapolation"
            )
            if sentence not in self._warned:
                warnings.warn(sentence, UserWarning, stacklevel=3)
                self._warned.add(sentence)


def _same_heads(one: Atoms, other: Atoms) -> bool:
    return one.info.get(HEAD_KEY) == other.info.get(HEAD_KEY) and np.array_equal(
        one.arrays.get(HEAD_KEY, np.empty(0)), other.arrays.get(HEAD_KEY, np.empty(0))
    )
