"""Atoms to tensors: edges, species indices, batches.

An edge (i <- j) has the sender j in `edge_index[0]`, the receiver i in `edge_index[1]`, and
`edge_vectors = x_i - x_j(image)`: it points from the neighbour to the centre. Both directions are
edges, and so are pairs of an atom with its own images.

| field            | shape   | dtype   | unit | per       |
|------------------|---------|---------|------|-----------|
| edge_vectors     | [E, 3]  | float   | A    | edge      |
| edge_index       | [2, E]  | int64   |      | edge      |
| species          | [n]     | int64   |      | atom      |
| structure        | [n]     | int64   |      | atom      |
| cells            | [S,3,3] | float   | A    | structure |
| state            | [S, 2]  | float64 | e, - | structure |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms

from mhff.errors import MHFFError, listing
from mhff.model.state import DEFAULT_STATE
from mhff.neighbours import neighbour_list
from mhff.state import state_of


@dataclass(frozen=True)
class Graph:
    """One structure, or several side by side; the fields are in the table at the top of this
    module.
    """

    edge_vectors: torch.Tensor
    edge_index: torch.Tensor
    species: torch.Tensor
    structure: torch.Tensor
    cells: torch.Tensor
    state: torch.Tensor
    """Total charge and spin multiplicity."""

    @property
    def n_atoms(self) -> int:
        """Number of atoms of all structures."""
        return self.species.shape[0]

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return self.cells.shape[0]

    @property
    def structure_of_edge(self) -> torch.Tensor:
        """Structure that each edge belongs to, `[E]`."""
        return self.structure.index_select(0, self.edge_index[1])

    @property
    def state_of_atom(self) -> torch.Tensor:
        """Charge and multiplicity of the structure that each atom belongs to, `[n, 2]`."""
        return self.state.index_select(0, self.structure)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Graph:
        """The same graph on a device, its floating-point fields in `dtype`."""
        return Graph(
            self.edge_vectors.to(device, dtype),
            self.edge_index.to(device),
            self.species.to(device),
            self.structure.to(device),
            self.cells.to(device, dtype),
            self.state.to(device),
        )


def species_indices(symbols: Sequence[str], elements: Sequence[str]) -> torch.Tensor:
    """Position of each symbol in `elements`, `[n]`; raises MHFFError for an element that is not
    there.
    """
    index = {element: position for position, element in enumerate(elements)}
    unknown = sorted(set(symbols) - set(elements))
    if unknown:
        raise MHFFError(
            f"this structure has {listing(unknown)}, but this model knows only "
            f"{listing(elements)}; "
            "use a model trained on these elements"
        )
    return torch.tensor([index[symbol] for symbol in symbols], dtype=torch.int64)


def graph_from_atoms(
    atoms: Atoms,
    elements: Sequence[str],
    r_max: float,
    default_state: tuple[float, float] = DEFAULT_STATE,
) -> Graph:
    """Graph of one ASE structure, floating-point fields in float64; `default_state` where it names
    no charge or spin.
    """
    species = species_indices(atoms.get_chemical_symbols(), elements)
    edge_index, edge_vectors = neighbour_list(*geometry(atoms), r_max)
    return with_edges(
        atoms, torch.from_numpy(edge_vectors), torch.from_numpy(edge_index), species, default_state
    )


def geometry(atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions `[n, 3]`, cell `[3, 3]` and pbc `[3]` of a structure, as `neighbour_list` takes
    them.
    """
    return (
        np.asarray(atoms.positions, dtype=np.float64),
        np.asarray(atoms.cell[:], dtype=np.float64),
        np.asarray(atoms.pbc, dtype=bool),
    )


def with_edges(
    atoms: Atoms,
    edge_vectors: torch.Tensor,
    edge_index: torch.Tensor,
    species: torch.Tensor,
    default_state: tuple[float, float],
) -> Graph:
    """Graph of one structure whose edges and species are known."""
    return Graph(
        edge_vectors=edge_vectors,
        edge_index=edge_index,
        species=species,
        structure=torch.zeros(len(atoms), dtype=torch.int64),
        cells=torch.tensor(atoms.cell[:], dtype=torch.float64).unsqueeze(0),
        state=torch.tensor([state_of(atoms, default_state)], dtype=torch.float64),
    )


def collate(graphs: Sequence[Graph]) -> Graph:
    """Several graphs side by side; atoms and structures are renumbered."""
    atom_offsets = np.cumsum([0, *(graph.n_atoms for graph in graphs)]).tolist()
    structure_offsets = np.cumsum([0, *(graph.n_structures for graph in graphs)]).tolist()
    return Graph(
        edge_vectors=torch.cat([graph.edge_vectors for graph in graphs]),
        edge_index=torch.cat(
            [
                graph.edge_index + offset
                for graph, offset in zip(graphs, atom_offsets, strict=False)
            ],
            dim=1,
        ),
        species=torch.cat([graph.species for graph in graphs]),
        structure=torch.cat(
            [
                graph.structure + offset
                for graph, offset in zip(graphs, structure_offsets, strict=False)
            ]
        ),
        cells=torch.cat([graph.cells for graph in graphs]),
        state=torch.cat([graph.state for graph in graphs]),
    )
