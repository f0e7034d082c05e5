"""Heads: levels of electronic-structure theory on one shared trunk, and the only place that
resolves a head's name.

Choosing a head means filling `head_weights`, a tensor with one row per atom and one column per
head: a one-hot row selects, a convex row interpolates between levels of theory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mhff.errors import MHFFError, listing, one_line

MIX_TOLERANCE = 1e-9
"""How far the weights of a mix given by name may be from summing to 1."""

Note = Annotated[str, AfterValidator(lambda text: one_line(" ".join(text.split())))]
"""A short text for people; line breaks become spaces."""

HeadSpec = str | Mapping[str, float]
"""A head's name, or weights by head name that sum to 1."""


class Head(BaseModel):
    """What a head is: its level of theory, what it was trained on, and whom to cite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(one_line), Field(min_length=1)]
    level_of_theory: Note = "unknown"
    domain: Note = "unknown"
    elements: tuple[Note, ...] = ()
    """Elements in this head's training data; empty if unknown."""
    licence: Note = "unknown"
    citation: Note = ""


class Heads(Sequence[Head]):
    """The heads of a model, in the order of the columns of `head_weights`."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self._heads = tuple(heads)
        self.names = tuple(head.name for head in heads)
        if len(set(self.names)) != len(self.names) or not self.names:
            raise MHFFError(
                f"expected at least one head and no name twice, got {listing(self.names)}"
            )

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._heads[index]

    def __len__(self) -> int:
        return len(self._heads)

    def __iter__(self) -> Iterator[Head]:
        return iter(self._heads)

    def __repr__(self) -> str:
        return f"Heads({listing(self.names)})"

    def index(self, name: str) -> int:  # type: ignore[override]
        """Column of the head called exactly `name`; raises MHFFError, naming the heads that exist."""
        if name not in self.names:
            raise MHFFError(
                f"unknown head '{name}': this model has the heads {listing(self.names)}; choose "
                "one of them"
            )
        return self.names.index(name)

    def complete(self, beginning: str) -> str:
        """Full name of the one head that begins with `beginning` (for the command line)."""
        if beginning in self.names:
            return beginning
        found = [name for name in self.names if name.startswith(beginning)] if beginning else []
        if len(found) == 1:
            return found[0]
        if found:
            raise MHFFError(
                f"head '{beginning}' is ambiguous: it begins {listing(found)}; give more letters"
            )
        raise MHFFError(
            f"unknown head '{beginning}': this model has the heads {listing(self.names)}; choose "
            "one of them"
        )

    def row(self, spec: HeadSpec | None) -> torch.Tensor:
        """Head weights `[n_heads]`, float64, of a name or of a mix by name.

        `None` is accepted only by a model with one head. The weights of a mix must sum to 1.
        """
        weights = torch.zeros(len(self), dtype=torch.float64)
        if spec is None:
            if len(self) > 1:
                raise MHFFError(
                    f"no head given: this model has the heads {listing(self.names)}; name one, as "
                    f"head='{self.names[0]}'"
                )
            weights[0] = 1.0
        elif isinstance(spec, str):
            weights[self.index(spec)] = 1.0
        else:
            for name, weight in spec.items():
                weights[self.index(name)] = float(weight)
            total = float(weights.sum())
            if not abs(total - 1.0) <= MIX_TOLERANCE:
                raise MHFFError(
                    f"the weights of a head mix must sum to 1, got {dict(spec)} with the sum "
                    f"{total:g}; rescale them"
                )
        return weights

    def rows(self, names: Sequence[str]) -> torch.Tensor:
        """Head weights `[n_atoms, n_heads]`, float64, from one head name per atom."""
        one_hot = torch.eye(len(self), dtype=torch.float64)
        return one_hot[torch.tensor([self.index(str(name)) for name in names], dtype=torch.int64)]

    def untrained(self, weights: torch.Tensor, symbols: Sequence[str]) -> dict[str, list[str]]:
        """Elements of `symbols` that a head with non-zero weight was not trained on, by head name.

        `weights` is `[n_heads]` or `[n_atoms, n_heads]`; heads that do not record their elements
        are skipped.
        """
        per_atom = weights.expand(len(symbols), len(self))
        missing: dict[str, list[str]] = {}
        for column, head in enumerate(self):
            used = {
                symbol
                for symbol, weight in zip(symbols, per_atom[:, column].tolist(), strict=True)
                if weight
            }
            absent = sorted(used - set(head.elements)) if head.elements else []
            if absent:
                missing[head.name] = absent
        return missing
