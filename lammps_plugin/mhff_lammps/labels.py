"""Labels: what a user writes in `pair_coeff` for an atom type, an element or element@head.

LAMMPS refuses a wrong label before Python hears of it, so the valid ones are printed when a file is
loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhff.heads import Heads


class Labels:
    """All labels of a program; LAMMPS hands over atoms as positions in `names`."""

    def __init__(self, elements: Sequence[str], heads: Heads, default_head: str | None) -> None:
        """Plain elements stand for the default head; where there is none among several heads, a
        label names its own.
        """
        if default_head is None and len(heads) == 1:
            default_head = heads.names[0]
        self.elements, self.heads, self.default_head = tuple(elements), heads, default_head
        plain = (
            [(element, default_head) for element in elements] if default_head is not None else []
        )
        pairs = plain + [(element, head) for head in heads.names for element in elements]
        self.symbols = [element for element, _ in pairs]
        self.names = [element for element, _ in plain] + [
            f"{element}@{head}" for element, head in pairs[len(plain) :]
        ]
        self._species = torch.tensor(
            [self.elements.index(element) for element, _ in pairs], dtype=torch.int64
        )
        self._weights = heads.rows([str(head) for _, head in pairs])

    def species(self, labels: torch.Tensor) -> torch.Tensor:
        """Position of each atom's element in `elements`, `[n]`, from its label's position in
        `names`, `[n]`.
        """
        return self._species[labels]

    def head_weights(self, labels: torch.Tensor) -> torch.Tensor:
        """Head weights `[n, n_heads]`, float64, from each atom's label's position in `names`,
        `[n]`.
        """
        return self._weights[labels]

    def warnings(self, labels: torch.Tensor) -> list[str]:
        """A sentence for each head that is used for elements it was not trained on; `labels` are
        positions in `names`.
        """
        used = labels.unique()
        symbols = [self.symbols[label] for label in used.tolist()]
        return self.heads.extrapolations(self._weights[used], symbols)

    def help(self) -> str:
        """What to write in `pair_coeff`, for the screen."""
        first = self.elements[:2]
        example = " ".join(f"{element}@{self.heads.names[0]}" for element in first)
        default = f" (default {self.default_head})" if self.default_head is not None else ""
        plain = (
            f"{' '.join(first)}   (default head)   or   " if self.default_head is not None else ""
        )
        return (
            f"mhff: elements {' '.join(self.elements)}; heads "
            f"{' '.join(self.heads.names)}{default}\n"
            f"mhff: one label per atom type, as in   pair_coeff * * {plain}{example}"
        )
