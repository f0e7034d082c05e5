"""Structures and labels as tensors: samples, batches of them, and predictions in the shape of the
labels.

| field          | shape     | dtype   | unit   | meaning                                     |
|----------------|-----------|---------|--------|---------------------------------------------|
| graph          |           |         |        | see `mhff.graph`                            |
| head           | [S]       | int64   |        | column of the head                          |
| weight         | [S]       | float   |        | weight of the structure in the loss         |
| energy         | [S]       | float64 | eV     | total energy                                |
| forces         | [n, 3]    | float   | eV/A   | zero where not labelled                     |
| has_forces     | [S]       | bool    |        | whether the forces are labelled             |
| stress         | [S, 3, 3] | float   | eV/A^3 | zero where not labelled                     |
| has_stress     | [S]       | bool    |        | whether the stress is labelled              |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch

from mhff.data.reading import LabelledStructure
from mhff.graph import Graph, collate, graph_from_atoms
from mhff.model import derivatives

Evaluate = Callable[..., tuple[torch.Tensor, torch.Tensor]]
"""Edge vectors, edge index, species, head weights and `state` to node energies and edge gradients:
`Evaluator.evaluate`.
"""


@dataclass(frozen=True)
class Batch:
    """One labelled structure, or several side by side; the fields are in the table at the top of
    this module.
    """

    graph: Graph
    head: torch.Tensor
    weight: torch.Tensor
    energy: torch.Tensor
    forces: torch.Tensor
    has_forces: torch.Tensor
    stress: torch.Tensor
    has_stress: torch.Tensor

    @property
    def n_atoms(self) -> torch.Tensor:
        """Number of atoms of each structure, `[S]`."""
        return torch.bincount(self.graph.structure, minlength=self.graph.n_structures)

    def head_weights(self, n_heads: int) -> torch.Tensor:
        """One-hot rows `[n, n_heads]`, float64: every atom has its structure's head."""
        rows = torch.nn.functional.one_hot(self.head, n_heads).to(torch.float64)
        return rows.index_select(0, self.graph.structure)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Batch:
        """The same batch on a device, floats in `dtype` but for the energies."""
        return Batch(
            self.graph.to(device, dtype),
            self.head.to(device),
            self.weight.to(device, dtype),
            self.energy.to(device),
            self.forces.to(device, dtype),
            self.has_forces.to(device),
            self.stress.to(device, dtype),
            self.has_stress.to(device),
        )


class Prediction(NamedTuple):
    """A model's numbers for a batch."""

    energy: torch.Tensor
    """`[S]`, eV, float64."""
    forces: torch.Tensor
    """`[n, 3]`, eV/A."""
    stress: torch.Tensor
    """`[K, 3, 3]`, eV/A^3, of the K structures whose stress is labelled."""


def sample(
    structure: LabelledStructure,
    elements: Sequence[str],
    r_max: float,
    head: int = 0,
    weight: float = 1.0,
) -> Batch:
    """A batch of one structure, floats in float64; `head` is the head's column."""
    n, forces, stress = len(structure.atoms), structure.forces, structure.stress
    return Batch(
        graph=graph_from_atoms(structure.atoms, elements, r_max),
        head=torch.tensor([head]),
        weight=torch.tensor([weight], dtype=torch.float64),
        energy=torch.tensor([structure.energy], dtype=torch.float64),
        forces=torch.zeros(n, 3, dtype=torch.float64)
        if forces is None
        else torch.from_numpy(forces),
        has_forces=torch.tensor([forces is not None]),
        stress=(
            torch.zeros(3, 3, dtype=torch.float64) if stress is None else torch.from_numpy(stress)
        ).unsqueeze(0),
        has_stress=torch.tensor([stress is not None]),
    )


def join(batches: Sequence[Batch]) -> Batch:
    """Several batches side by side."""
    names = [field.name for field in fields(Batch) if field.name != "graph"]
    joined = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in names}
    return Batch(graph=collate([batch.graph for batch in batches]), **joined)


def in_batches(samples: Sequence[Batch], batch_size: int) -> Iterator[Batch]:
    """The samples in their order, `batch_size` at a time."""
    for start in range(0, len(samples), batch_size):
        yield join(samples[start : start + batch_size])


def predict(evaluate: Evaluate, batch: Batch, n_heads: int) -> Prediction:
    """Energies, forces and stresses of a batch; differentiable where `evaluate` is."""
    graph, head_weights = batch.graph, batch.head_weights(n_heads)
    node_energies, gradients = evaluate(
        graph.edge_vectors, graph.edge_index, graph.species, head_weights, state=graph.state_of_atom
    )
    atomic = (head_weights * node_energies).sum(1)
    virials = derivatives.virial(
        gradients, graph.edge_vectors, graph.structure_of_edge, graph.n_structures
    )
    return Prediction(
        energy=atomic.new_zeros(graph.n_structures).index_add(0, graph.structure, atomic),
        forces=derivatives.forces(gradients, graph.edge_index, graph.n_atoms),
        stress=derivatives.stress(virials[batch.has_stress], graph.cells[batch.has_stress]),
    )
