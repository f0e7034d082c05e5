"""Labels: what a user writes in `pair_coeff` for each atom type, an element or element@head.

LAMMPS refuses a wrong label without asking the model, so the valid labels are printed when a file
is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mhff.heads import Heads

N_EXAMPLES = 2
"""Number of elements in the example that `help` prints."""


class Label(NamedTuple):
    """A word in `pair_coeff` and its meaning."""

    name: str
    element: str
    head: str


class Labels:
    """All labels of a program; LAMMPS gives the label of an atom as its position in `names`."""

    def __init__(self, elements: Sequence[str], heads: Heads, default_head: str | None) -> None:
        """A plain element means the default head, or the only one; otherwise it is not a label."""
        if default_head is None and len(heads) == 1:
            default_head = heads.names[0]
        self.elements = tuple(elements)
        self.heads = heads
        self.default_head = default_head
        self._labels = [
            Label(f"{element}@{head}", element, head)
            for head in heads.names
            for element in elements
        ]
        if default_head is not None:
            plain = [Label(element, element, default_head) for element in elements]
            self._labels = plain + self._labels
        self.names = [label.name for label in self._labels]
        species = [self.elements.index(label.element) for label in self._labels]
        self._species = torch.tensor(species, dtype=torch.int64)
        self._head_weights = heads.rows([label.head for label in self._labels])

    def species(self, labels: torch.Tensor) -> torch.Tensor:
        """Position in `elements` of each atom's element, `[n]`; `labels [n]` index `names`."""
        return self._species[labels]

    def head_weights(self, labels: torch.Tensor) -> torch.Tensor:
        """Head weights `[n, n_heads]`, float64; `labels [n]` index `names`."""
        return self._head_weights[labels]

    def warnings(self, labels: torch.Tensor) -> list[str]:
        """A sentence for each head used for elements it was not trained on; `labels [n]`."""
        used = labels.unique()
        symbols = [self._labels[position].element for position in used.tolist()]
        return self.heads.extrapolations(self._head_weights[used], symbols)

    def help(self) -> str:
        """Two lines for the screen that say what to write in `pair_coeff`."""
        elements = self.elements[:N_EXAMPLES]
        heads = " ".join(self.heads.names)
        example = " ".join(f"{element}@{self.heads.names[0]}" for element in elements)
        if self.default_head is not None:
            heads += f" (default {self.default_head})"
            example = f"{' '.join(elements)}   (default head)   or   {example}"
        return (
            f"mhff: elements {' '.join(self.elements)}; heads {heads}\n"
            f"mhff: one label per atom type, as in   pair_coeff * * {example}"
        )
