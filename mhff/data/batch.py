"""Structures and labels as tensors: one sample per structure, batches of several.

| field          | shape     | dtype   | unit   | meaning                                     |
|----------------|-----------|---------|--------|---------------------------------------------|
| graph          |           |         |        | see `mhff.graph`                            |
| head           | [S]       | int64   |        | column of the head                          |
| weights        | [S, 3]    | float64 |        | weights in the loss: energy, forces, stress |
| energy         | [S]       | float64 | eV     | total energy, zero where not labelled       |
| has_energy     | [S]       | bool    |        | whether the energy is labelled              |
| forces         | [n, 3]    | float   | eV/A   | zero where not labelled                     |
| has_forces     | [S]       | bool    |        | whether the forces are labelled             |
| stress         | [S, 3, 3] | float   | eV/A^3 | zero where not labelled                     |
| has_stress     | [S]       | bool    |        | whether the stress is labelled              |
| config_types   | S strings |         |        | kind of each structure, for error tables    |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, Protocol

import torch

from mhff.atoms import graph_from_atoms
from mhff.data.reading import LabelledStructure
from mhff.errors import located
from mhff.graph import DEFAULT_STATE, Graph, collate
from mhff.model.config import StateEmbedding
from mhff.state import check_state, state_of


@dataclass(frozen=True)
class Batch:
    """One labelled structure, or several side by side; the fields are in the table above."""

    graph: Graph
    head: torch.Tensor
    weights: torch.Tensor
    energy: torch.Tensor
    has_energy: torch.Tensor
    forces: torch.Tensor
    has_forces: torch.Tensor
    stress: torch.Tensor
    has_stress: torch.Tensor
    config_types: tuple[str, ...]

    @property
    def n_atoms(self) -> torch.Tensor:
        """Number of atoms of each structure, `[S]`."""
        return torch.bincount(self.graph.structure, minlength=self.graph.n_structures)

    def head_weights(self, n_heads: int) -> torch.Tensor:
        """One-hot rows `[n, n_heads]`, float64: every atom has its structure's head."""
        rows = torch.nn.functional.one_hot(self.head, n_heads).to(torch.float64)
        return rows.index_select(0, self.graph.structure)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Batch:
        """The same batch on a device; floats in `dtype`, except for the energies."""
        moved: dict[str, Any] = {
            name: value.to(device, dtype) if name in _FLOATS else value.to(device)
            for name, value in self._tensors().items()
        }
        return replace(self, graph=self.graph.to(device, dtype), **moved)

    def _tensors(self) -> dict[str, torch.Tensor]:
        """The tensors beside the graph, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}


_FLOATS = ("forces", "stress")
"""Fields in the model's precision."""


class ModelInputs(Protocol):
    """Properties of a model that its graphs depend on, as in `ModelConfig` and `Capabilities`."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols in the order of the species index."""
        ...

    @property
    def r_max(self) -> float:
        """Cutoff radius, A."""
        ...

    @property
    def state_embeddings(self) -> tuple[StateEmbedding, ...]:
        """Which of total charge and spin multiplicity the model takes."""
        ...


def sample(
    structure: LabelledStructure,
    model: ModelInputs,
    head: int = 0,
    weights: Sequence[float] = (1.0, 1.0, 1.0),
    default_state: tuple[float, float] = DEFAULT_STATE,
) -> Batch:
    """A batch of one structure, floats in float64; `head` is the head's column.

    `weights` are those of energy, forces and stress in the loss. Raises MHFFError, naming the
    structure, for elements, a geometry, a charge or a spin that the model cannot take.
    """
    structure = structure.load()
    with located(structure.place):
        state = state_of(structure.atoms, model.state_embeddings, default_state)
        graph = graph_from_atoms(structure.atoms, model.elements, model.r_max, state)
        check_state(graph.state, model.state_embeddings)
    n = len(structure.atoms)
    forces = torch.zeros(n, 3, dtype=torch.float64)
    if structure.forces is not None:
        forces = torch.from_numpy(structure.forces)
    stress = torch.zeros(3, 3, dtype=torch.float64)
    if structure.stress is not None:
        stress = torch.from_numpy(structure.stress)
    return Batch(
        graph=graph,
        head=torch.tensor([head]),
        weights=torch.tensor([list(weights)], dtype=torch.float64),
        energy=torch.tensor([structure.energy or 0.0], dtype=torch.float64),
        has_energy=torch.tensor([structure.energy is not None]),
        forces=forces,
        has_forces=torch.tensor([structure.forces is not None]),
        stress=stress.unsqueeze(0),
        has_stress=torch.tensor([structure.stress is not None]),
        config_types=(structure.config_type,),
    )


def join(batches: Sequence[Batch]) -> Batch:
    """Several batches side by side."""
    tensors = [batch._tensors() for batch in batches]
    return Batch(
        graph=collate([batch.graph for batch in batches]),
        config_types=tuple(chain.from_iterable(batch.config_types for batch in batches)),
        **{name: torch.cat([each[name] for each in tensors]) for name in tensors[0]},
    )
