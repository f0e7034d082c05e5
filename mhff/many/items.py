"""Each structure of a stream, prepared for an evaluation, or with the reason why it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms

from mhff.atoms import SpeciesOfNumbers
from mhff.capabilities import Capabilities
from mhff.errors import MHFFError
from mhff.heads import HEAD_KEY, HeadSpec
from mhff.many.filling import estimated_pairs
from mhff.many.stacks import Stack
from mhff.state import check_state, state_of


@dataclass(slots=True)
class Item:
    """One structure on its way through an evaluation."""

    atoms: Atoms
    """A copy of the user's structure, which gets the results."""
    place: str
    """The structure in words."""
    species: np.ndarray
    """Species indices, `[n]`."""
    state: tuple[float, float]
    """Total charge and spin multiplicity."""
    head_weights: np.ndarray
    """`[1, n_heads]`, or `[n, n_heads]` if atoms have heads of their own."""
    n_pairs: float
    """Number of edges, estimated."""

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.species)


@dataclass(frozen=True)
class Unusable:
    """A structure that cannot be evaluated."""

    atoms: Atoms
    place: str
    trouble: str
    """Why it cannot be."""

    n_atoms = 0
    n_pairs = 0.0


def stacked(items: Sequence[Item]) -> Stack:
    """The structures of items side by side."""
    sizes = np.array([item.n_atoms for item in items])
    weights = [item.head_weights for item in items]
    if all(len(rows) == 1 for rows in weights):
        head_weights = np.repeat(np.concatenate(weights), sizes, axis=0)
    else:
        each = zip(weights, sizes.tolist(), strict=True)
        rows = [np.broadcast_to(rows, (size, rows.shape[1])) for rows, size in each]
        head_weights = np.ascontiguousarray(np.concatenate(rows))
    return Stack(
        sizes,
        np.concatenate([item.species for item in items]),
        np.concatenate([item.atoms.positions for item in items]).astype(np.float64),
        np.array([item.atoms.cell.array for item in items], dtype=np.float64),
        np.array([item.atoms.pbc for item in items]),
        np.array([item.state for item in items], dtype=np.float64),
        head_weights,
    )


class Preparation:
    """Makes items of structures, for a model and a head."""

    def __init__(
        self,
        can: Capabilities,
        head: HeadSpec | None,
        place: Callable[[int], str],
        chooses: bool = True,
    ) -> None:
        """`head`: of structures that do not name their own; `place` puts a number into words.

        `chooses`: whether one head is chosen for each structure; the head weights are 0 otherwise.
        """
        self.can = can
        self.head = head
        self.place = place
        self.chooses = chooses
        self._species = SpeciesOfNumbers(can.elements)
        self._rows: dict[str, np.ndarray] = {}

    def item(self, index: int, structure: Any) -> Item | Unusable:
        """One structure, prepared; raises MHFFError for what is no structure of ASE."""
        place = self.place(index)
        if not isinstance(structure, Atoms):
            raise MHFFError(
                f"expected ASE's Atoms, got {type(structure).__name__} as {place}; read files with "
                "ase.io.iread"
            )
        atoms = structure.copy()
        try:
            return self._usable(atoms, place)
        except MHFFError as error:
            return Unusable(atoms, place, str(error))

    def _usable(self, atoms: Atoms, place: str) -> Item:
        """The item of a structure; MHFFError says why it cannot be evaluated."""
        can = self.can
        species = self._species(atoms.numbers)
        state = state_of(atoms, can.state_embeddings, can.default_state)
        if can.state_embeddings:
            check_state(torch.tensor([state], dtype=torch.float64), can.state_embeddings)
        n_pairs = estimated_pairs(atoms.positions, atoms.cell.array, atoms.pbc, can.r_max)
        return Item(atoms, place, species, state, self._head_weights(atoms), n_pairs)

    def _head_weights(self, atoms: Atoms) -> np.ndarray:
        """By the structure's own heads, or else the one that was asked for."""
        if not self.chooses:
            return np.zeros((1, len(self.can.heads)))
        names = atoms.arrays.get(HEAD_KEY)
        if names is not None:
            return self.can.head_rows([str(name) for name in names]).numpy()
        own = atoms.info.get(HEAD_KEY)
        return self._row(self.head if own is None else own)

    def _row(self, head: HeadSpec | None) -> np.ndarray:
        """The weight of each head, `[1, n_heads]`; remembered for names, which many share."""
        if not isinstance(head, str):
            return self.can.head_row(head).numpy()[None]
        if head not in self._rows:
            self._rows[head] = self.can.head_row(head).numpy()[None]
        return self._rows[head]
