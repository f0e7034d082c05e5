"""Labels: what a user writes in `pair_coeff` for each atom type, an element or element@head.

A mix that was named when the program was compiled stands where a head does. LAMMPS compares labels
with `Labels.names` when it reads `pair_coeff`, and refuses a wrong one without asking the model. So
the valid labels are printed when a file is loaded.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from mhff.capabilities import Capabilities
from mhff_lammps.energies import vector_name

N_EXAMPLES = 2
"""Number of elements in the example that `help` prints."""


class Label(NamedTuple):
    """A word in `pair_coeff` and its meaning."""

    name: str
    element: str
    head: str
    """A head or a mix."""


class Labels:
    """All labels of a program; LAMMPS gives the label of an atom as its position in `names`."""

    def __init__(self, program: Capabilities) -> None:
        """A plain element means the default head, or the only one; otherwise it is not a label."""
        self.program = program
        self.elements = program.elements
        self.heads = program.heads
        self.default_head = program.default_head
        if self.default_head is None and len(self.heads) == 1:
            self.default_head = self.heads.names[0]
        self._labels = [
            Label(f"{element}@{head}", element, head)
            for head in program.head_names
            for element in self.elements
        ]
        if self.default_head is not None:
            plain = [Label(element, element, self.default_head) for element in self.elements]
            self._labels = plain + self._labels
        self.names = [label.name for label in self._labels]
        species = [self.elements.index(label.element) for label in self._labels]
        self._species = torch.tensor(species, dtype=torch.int64)
        self._head_weights = program.head_rows([label.head for label in self._labels])

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
        """Lines for the screen that say what to write in `pair_coeff` and `fix property/atom`."""
        choices = f"heads {' '.join(self.heads.names)}"
        if self.default_head is not None:
            choices += f" (default {self.default_head})"
        if self.program.mixes:
            choices += f"; mixes {' '.join(map(str, self.program.mixes))}"
        vectors = " ".join(vector_name(head) for head in self.program.head_names)
        return (
            f"mhff: elements {' '.join(self.elements)}; {choices}\n"
            f"mhff: one label per atom type, as in   pair_coeff * * {self._example()}\n"
            f"mhff: energies of heads, as in   fix ID all property/atom {vectors}"
        )

    def _example(self) -> str:
        elements = self.elements[:N_EXAMPLES]
        example = " ".join(f"{element}@{self.heads.names[0]}" for element in elements)
        if self.default_head is None:
            return example
        return f"{' '.join(elements)}   (default head)   or   {example}"
