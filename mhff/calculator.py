"""The ASE calculator."""

from __future__ import annotations

import copy
import math
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import ArrayLike

from mhff.atoms import changes_between, geometry, species_indices
from mhff.errors import MHFFError
from mhff.evaluator import Evaluator, ModelSource, check_finite
from mhff.graph import Graph, graph_without_edges
from mhff.heads import HEAD_KEY, HeadSpec, OnceOnly
from mhff.model import derivatives
from mhff.model.curvature import Curvature, chosen_atoms, coordinates_of, symmetrised
from mhff.neighbours import neighbour_list
from mhff.opening import open_evaluator
from mhff.options import CompileOptions
from mhff.state import state_of
from mhff.verlet import VerletList, check_skin

DEFAULT_SKIN = 0.5
"""Default width of the neighbour list's skin in ASE, A."""


@dataclass(frozen=True)
class _Choice:
    """The inputs, besides elements and geometry, that decide the result."""

    head_weights: tuple[float, ...] | None
    """The weight of each head for all atoms; None if atoms have heads of their own."""
    head_of_atom: tuple[str, ...] | None
    state: tuple[float, float]
    """Total charge and spin multiplicity."""


class MHFFCalculator(Calculator):
    """Energy, free energy, forces, stress and energies per atom from a model or a compiled file.

    The head is a name or a mix such as `{"materials": 0.5, "surfaces": 0.5}`. Each evaluation gives
    the total energy of every head, in `results["head_energies"]`. Models that take a total charge
    or a spin multiplicity 2S + 1 read `atoms.info["charge"]` and `atoms.info["spin"]`, by default 0
    and 1. Threads may share a calculator; they take turns.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 - ASE's own name

    def __init__(
        self,
        model: ModelSource | Evaluator,
        head: HeadSpec | None = None,
        device: str = "cpu",
        dtype: str | None = None,
        form: str | None = None,
        skin: float = DEFAULT_SKIN,
    ) -> None:
        """Open a model: a path, `"mini"`, `mhff.load(...)` or a compiled file.

        Args:
            model: a model file, a bundled model's name, a `Model`, or an artefact.
            head: optional if the model has only one, or if each structure names its own in
                `mhff_head`; otherwise the first calculation raises.
            device: "cpu" or "cuda".
            dtype: "float32" (dynamics) or "float64" (optimisation, phonons). None means float64 for
                a model, and the precision of a compiled file.
            form: "eager", "aoti" or "torchscript". None compiles a model once, after a few seconds'
                worth of evaluations, and uses the cached program from then on.
            skin: A. Along a trajectory in one cell, the neighbour search is repeated only after an
                atom has moved by half the skin; 0 searches at every step.

        Raises:
            MHFFError: for an unknown head, device, precision or form.
        """
        super().__init__()
        self.use_cache = False  # `calculate` keeps a copy of the atoms, `check_state` looks there
        check_skin(skin, DEFAULT_SKIN)
        options = CompileOptions.model_validate(
            {"device": device, "precision": dtype, "form": form}
        )
        self.evaluator = open_evaluator(model, options)
        self.capabilities = self.evaluator.capabilities
        # a copy, so that nothing can change the head behind the calculator's back
        self.head = copy.deepcopy(self.capabilities.default_head if head is None else head)
        if self.head is not None or len(self.capabilities.heads) == 1:
            self.capabilities.head_row(self.head)  # report a wrong head now
        self.neighbours = VerletList(self.capabilities.r_max, skin)
        self._once = OnceOnly()
        self._symbols: list[str] = []
        self._without_edges = graph_without_edges(torch.zeros(0, dtype=torch.int64), torch.float64)
        self._weights = torch.zeros(0, len(self.capabilities.heads), dtype=torch.float64)
        self._rows: dict[str, tuple[float, ...]] = {}
        self._prepared: _Choice | None = None
        self._calculated: _Choice | None = None
        self._structure: Atoms | None = None
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock and the neighbour list; each copy has its own."""
        state = {name: value for name, value in self.__dict__.items() if name != "_lock"}
        return state | {"neighbours": VerletList(self.neighbours.r_max, self.neighbours.skin)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """ASE's entry point: the property of a structure, calculated if it is not known."""
        with self._lock:
            return super().get_property(name, atoms, allow_calculation)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's entry point; fills `self.results`."""
        given = cast(Atoms, self.atoms if atoms is None else atoms)
        choice = self._choice(given)
        structure = self.atoms = self._prepared_copy(given, choice)
        weights = self._weights
        operators = self.evaluator.list_operators()
        self.neighbours.operators = operators  # kernels from the moment that there is a program
        edges = self.neighbours.edges(*geometry(structure))
        graph = self._without_edges.with_edges(*edges)
        node_energies, edge_gradients = self.evaluator.evaluate(graph, weights)
        node_energies = node_energies.cpu()
        edge_gradients = edge_gradients.cpu()
        results = (edge_gradients, graph.edge_index, node_energies, weights)
        of_atoms, totals = operators.results_of_edges(*results, 1.0, 1.0)
        energy, of_forces = totals.tolist()
        forces = of_atoms.numpy()
        if not math.isfinite(energy + of_forces):
            check_finite(energy, forces)
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": torch.linalg.vecdot(weights, node_energies).numpy(),
            "forces": forces,
            "head_energies": dict(
                zip(self.capabilities.heads.names, node_energies.sum(0).tolist(), strict=True)
            ),
        }
        if structure.cell[:].any(axis=1).all():
            self.results["stress"] = _stress(edge_gradients, graph, structure.cell[:])
        elif "stress" in properties:
            raise PropertyNotImplementedError("stress needs a cell with three lattice vectors")
        self._calculated = choice

    def get_hessian(
        self, atoms: Atoms | None = None, indices: ArrayLike | None = None
    ) -> np.ndarray:
        """Second derivatives of the energy, `[3 n, 3 n]`, eV/A^2: row 3 i + x is atom i, axis x.

        They are exact and in float64, whatever the precision of the calculator. With `indices`
        (numbers or a mask of atoms) the matrix has these atoms only, the others being fixed. Raises
        MHFFError for a compiled file, which has no second derivatives, and for wrong indices.
        """
        chosen, rows = self._hessian_rows(atoms, indices)
        return symmetrised(rows[:, coordinates_of(chosen)])

    def get_force_constants(
        self, atoms: Atoms | None = None, indices: ArrayLike | None = None
    ) -> np.ndarray:
        """Second derivatives of n atoms with all N atoms, `[n, N, 3, 3]`, eV/A^2, as in phonopy.

        `indices` and what is raised: see `get_hessian`.
        """
        chosen, rows = self._hessian_rows(atoms, indices)
        columns = coordinates_of(chosen)
        rows[:, columns] = symmetrised(rows[:, columns])
        return rows.reshape(len(chosen), 3, -1, 3).transpose(0, 2, 1, 3).copy()

    def get_hessian_vector_product(self, atoms: Atoms, vectors: ArrayLike) -> np.ndarray:
        """The Hessian times `vectors [n, 3]`, or several of them `[k, n, 3]`; see `get_hessian`."""
        given = np.asarray(vectors, dtype=np.float64)
        if given.shape[-2:] != (len(atoms), 3) or given.ndim not in (2, 3):
            raise MHFFError(
                f"expected vectors of shape [{len(atoms)}, 3] or [k, {len(atoms)}, 3], got "
                f"{list(given.shape)}; give three components per atom"
            )
        several = given.reshape(-1, len(atoms), 3)
        with self._lock:
            return self._curvature(atoms, len(several)).products(several).reshape(given.shape)

    def _hessian_rows(
        self, atoms: Atoms | None, indices: ArrayLike | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The atoms `[n]` that `indices` name, and their rows `[3 n, 3 N]`."""
        structure = self.atoms if atoms is None else atoms
        if structure is None:
            raise MHFFError("expected a structure, got none; give the atoms")
        with self._lock:
            chosen = chosen_atoms(indices, len(structure))
            return chosen, self._curvature(structure, 3 * len(chosen)).rows(chosen)

    def _curvature(self, atoms: Atoms, n_products: int) -> Curvature:
        choice = self._choice(atoms)
        symbols = atoms.get_chemical_symbols()
        self._prepare(symbols, choice)
        edge_index, edge_vectors = neighbour_list(*geometry(atoms), self.capabilities.r_max)
        edges = torch.from_numpy(edge_vectors), torch.from_numpy(edge_index)
        graph = self._without_edges.with_edges(*edges)
        self.evaluator.check(graph, self._weights)
        network = self.evaluator.twice_differentiable(symbols, n_products * edge_index.shape[1])
        known = replace(graph, species=species_indices(symbols, network.config.elements))
        return Curvature(network, known, self._weights, n_products)

    def _prepare(self, symbols: list[str], choice: _Choice) -> None:
        """Take what a trajectory has in common; warn once per head of untrained elements."""
        self._structure = None  # another one may have been prepared
        species = species_indices(symbols, self.capabilities.elements)
        state = torch.tensor([choice.state], dtype=torch.float64).expand(len(symbols), -1)
        self._without_edges = graph_without_edges(species, torch.float64, state=state)
        self._weights = self._weights_of(choice, len(symbols))
        self._symbols = symbols
        self._prepared = choice
        sentences = self.capabilities.heads.extrapolations(self._weights, symbols)
        for sentence in self._once.new(sentences):
            warnings.warn(sentence, UserWarning, stacklevel=4)

    def _prepared_copy(self, atoms: Atoms, choice: _Choice) -> Atoms:
        """A copy of a structure: the last one with new positions, if nothing else is new."""
        own = self._structure
        if own is None or choice != self._prepared or changes_between(own, atoms, "positions"):
            own = atoms.copy()
            symbols = own.get_chemical_symbols()
            if symbols != self._symbols or choice != self._prepared:
                self._prepare(symbols, choice)
            self._structure = own
        else:
            own.positions[:] = atoms.positions
        return own

    def _choice(self, atoms: Atoms) -> _Choice:
        known = self.capabilities
        state = state_of(atoms, known.state_embeddings, known.default_state)
        names = atoms.arrays.get(HEAD_KEY)
        if names is not None:
            return _Choice(None, tuple(str(name) for name in names), state)
        own = atoms.info.get(HEAD_KEY)
        return _Choice(self._row(self.head if own is None else own), None, state)

    def _row(self, head: HeadSpec | None) -> tuple[float, ...]:
        """The weight of each head; remembered for names, which are asked for at every step."""
        if isinstance(head, str) and head in self._rows:
            return self._rows[head]
        row = tuple(self.capabilities.head_row(head).tolist())
        if isinstance(head, str):
            self._rows[head] = row
        return row

    def _weights_of(self, choice: _Choice, n_atoms: int) -> torch.Tensor:
        if choice.head_of_atom is not None:
            return self.capabilities.head_rows(choice.head_of_atom)
        return torch.tensor(choice.head_weights, dtype=torch.float64).repeat(n_atoms, 1)

    def head_weights(self, atoms: Atoms) -> torch.Tensor:
        """Head weights `[n_atoms, n_heads]` by the structure's `mhff_head`, or the calculator's."""
        return self._weights_of(self._choice(atoms), len(atoms))

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Changes since the last calculation; heads, charge and spin are among them.

        ASE's own comparison, which `tol` is for, takes a third of a small molecule's step.
        """
        before = self.atoms
        if before is None:
            return list(all_changes)
        changes = changes_between(before, atoms)
        if self._choice(atoms) != self._calculated:
            changes.append(HEAD_KEY)
        return changes

    def set_head(self, head: HeadSpec) -> None:
        """Choose another head or mix; the results are recalculated."""
        self.capabilities.head_row(head)
        self.head = copy.deepcopy(head)
        self.reset()


def _stress(edge_gradients: torch.Tensor, graph: Graph, cell: np.ndarray) -> np.ndarray:
    """Stress of one structure in Voigt's order, `[6]`, eV/A^3."""
    edges = graph.edge_vectors.to(torch.float64), graph.structure_of_edge
    virials = derivatives.virial(edge_gradients.to(torch.float64), *edges, 1)
    cells = torch.from_numpy(cell).unsqueeze(0)
    return full_3x3_to_voigt_6_stress(derivatives.stress(virials, cells)[0].numpy())
