"""ASE's atoms become graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from mhff.errors import MHFFError, listing
from mhff.graph import Graph, make_graph
from mhff.neighbours import neighbour_list


def species_indices(symbols: Sequence[str], elements: Sequence[str]) -> torch.Tensor:
    """Position of each symbol in `elements`, `[n]`; raises MHFFError for an unknown element."""
    index = {element: position for position, element in enumerate(elements)}
    unknown = sorted(set(symbols) - set(elements))
    if unknown:
        raise MHFFError(
            f"this structure has {listing(unknown)}, but this model knows only "
            f"{listing(elements)}; "
            "use a model trained on these elements"
        )
    return torch.tensor([index[symbol] for symbol in symbols], dtype=torch.int64)


def species_by_number(elements: Sequence[str]) -> np.ndarray:
    """Species index of each atomic number, -1 for those of other elements."""
    species = np.full(len(chemical_symbols), -1)
    for index, element in enumerate(elements):
        species[atomic_numbers[element]] = index
    return species


class SpeciesOfNumbers:
    """Species indices from atomic numbers, for the many structures of one model."""

    def __init__(self, elements: Sequence[str]) -> None:
        self.elements = elements
        self._index = species_by_number(elements)

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Species indices `[n]`; raises MHFFError for an unknown element."""
        species = self._index[numbers]
        if species.min(initial=0) < 0:
            species_indices([chemical_symbols[number] for number in numbers], self.elements)
        return species


def geometry(atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions `[n, 3]`, cell `[3, 3]` and pbc `[3]`, as `neighbour_list` takes them."""
    positions = np.asarray(atoms.positions, dtype=np.float64)
    cell = np.asarray(atoms.cell[:], dtype=np.float64)
    return positions, cell, np.asarray(atoms.pbc, dtype=bool)


def graph_from_atoms(
    atoms: Atoms,
    elements: Sequence[str],
    r_max: float,
    state: tuple[float, float] | None = None,
) -> Graph:
    """Graph of one structure, floating-point fields in float64.

    `state`: total charge and spin multiplicity, None for a neutral singlet. Raises MHFFError for an
    element that is not in `elements` and for a structure without a neighbour list.
    """
    species = species_indices(atoms.get_chemical_symbols(), elements)
    edge_index, edge_vectors = neighbour_list(*geometry(atoms), r_max)
    edges = torch.from_numpy(edge_vectors), torch.from_numpy(edge_index)
    return graph_with_edges(atoms, edges, species, state)


def graph_with_edges(
    atoms: Atoms,
    edges: tuple[torch.Tensor, torch.Tensor],
    species: torch.Tensor,
    state: tuple[float, float] | None,
) -> Graph:
    """Graph of one structure whose edges (vectors and index) and species are known."""
    edge_vectors, edge_index = edges
    fields = {"cells": torch.tensor(atoms.cell[:], dtype=torch.float64).unsqueeze(0)}
    if state is not None:
        fields["state"] = torch.tensor([state], dtype=torch.float64).expand(len(atoms), -1)
    return make_graph(edge_vectors, edge_index, species, **fields)


def changes_between(before: Atoms, atoms: Atoms, but: str = "") -> list[str]:
    """ASE's names of what differs between two structures; `but` is not looked at."""
    every = (
        ("positions", before.positions, atoms.positions),
        ("numbers", before.numbers, atoms.numbers),
        ("cell", before.cell[:], atoms.cell[:]),
        ("pbc", before.pbc, atoms.pbc),
    )
    return [name for name, then, now in every if name != but and not np.array_equal(then, now)]
