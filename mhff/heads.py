"""Heads: levels of electronic-structure theory on one shared trunk.

This is the only place that resolves a head's name. Choosing a head means filling `head_weights`, a
tensor with one row per atom and one column per head: a one-hot row selects, a convex row
interpolates between levels of theory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, overload

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from mhff.errors import MHFFError, listing, one_line
from mhff.mixes import Mix

MIX_TOLERANCE = 1e-9
"""Tolerance on the sum of the weights of a mix given by name, which must be 1."""

HeadName = Annotated[str, Field(min_length=1), AfterValidator(one_line)]
"""A name in one line without control characters."""
Note = Annotated[str, AfterValidator(lambda text: one_line(" ".join(text.split())))]
"""A short text for people; line breaks become spaces."""

HeadSpec = str | Mapping[str, float]
"""A head's name, or weights by head name that sum to 1."""
HEAD_KEY = "mhff_head"
"""Key by which a structure of ASE overrides the head that is chosen for all.

It holds a name or a mix in `atoms.info`, or a name per atom in `atoms.arrays`.
"""


class E0sKind(StrEnum):
    """The origin of a head's energies of isolated atoms, the E0s."""

    ISOLATED = "isolated"
    """Isolated atoms among the data."""
    GIVEN = "given"
    """Numbers in the configuration."""
    LEAST_SQUARES = "least_squares"
    """Fitted to the energies of the training structures: not energies of atoms."""
    REESTIMATED = "reestimated"
    """Those of another head, changed by a fit to its model's errors: not energies of atoms."""
    UNKNOWN = "unknown"


class Head(BaseModel):
    """A head's level of theory, training data, licence and citation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: HeadName
    level_of_theory: Note = "unknown"
    dispersion: bool | None = None
    """Whether its training energies contain dispersion (D3, D4, VV10, ...); None if unknown."""
    domain: Note = "unknown"
    elements: tuple[Note, ...] = ()
    """Elements in this head's training data; empty if unknown."""
    e0s_kind: E0sKind = E0sKind.UNKNOWN
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

    @overload
    def __getitem__(self, index: int) -> Head: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Head]: ...

    def __getitem__(self, index: int | slice) -> Head | Sequence[Head]:
        return self._heads[index]

    def __len__(self) -> int:
        return len(self._heads)

    def __iter__(self) -> Iterator[Head]:
        return iter(self._heads)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Heads) and self._heads == other._heads

    def __hash__(self) -> int:
        return hash(self._heads)

    def __repr__(self) -> str:
        return f"Heads({listing(self.names)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic records hold `Heads`, and write them as a list."""
        from_list = core_schema.no_info_after_validator_function(cls, handler(tuple[Head, ...]))
        return core_schema.union_schema(
            [core_schema.is_instance_schema(cls), from_list],
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda heads: [head.model_dump() for head in heads]
            ),
        )

    def index(self, name: str) -> int:  # type: ignore[override]
        """Column of the head called exactly `name`; raises MHFFError, naming those that exist."""
        if name not in self.names:
            raise self._unknown(name)
        return self.names.index(name)

    def _unknown(self, name: object) -> MHFFError:
        return MHFFError(
            f"unknown head {name!r}: this model has the heads {listing(self.names)}; choose one of "
            "them"
        )

    def complete(self, beginning: str) -> str:
        """Full name of the one head that begins with `beginning` (for the command line)."""
        if beginning in self.names:
            return beginning
        found = [name for name in self.names if beginning and name.startswith(beginning)]
        if len(found) == 1:
            return found[0]
        if found:
            raise MHFFError(
                f"head '{beginning}' is ambiguous: it could be any of {listing(found)}; give more "
                "letters"
            )
        raise self._unknown(beginning)

    def row(self, spec: HeadSpec | None) -> torch.Tensor:
        """Head weights `[n_heads]`, float64, of a name or of a mix by name.

        None is accepted only if there is one head. The weights of a mix must sum to 1. Raises
        MHFFError for anything else.
        """
        if isinstance(spec, Mapping):
            return self._mix(spec)
        if spec is None and len(self) > 1:
            raise MHFFError(
                f"no head given: this model has the heads {listing(self.names)}; choose one of "
                f"them, for example head='{self.names[0]}'"
            )
        if spec is not None and not isinstance(spec, str):
            raise MHFFError(
                f"expected a head's name, or weights by name, got {spec!r}; this model has the "
                f"heads {listing(self.names)}"
            )
        weights = torch.zeros(len(self), dtype=torch.float64)
        weights[0 if spec is None else self.index(spec)] = 1.0
        return weights

    def _mix(self, spec: Mapping[str, float]) -> torch.Tensor:
        weights = torch.zeros(len(self), dtype=torch.float64)
        for name, weight in spec.items():
            if isinstance(weight, (str, bytes)):
                raise MHFFError(
                    f"expected a number as the weight of head '{name}', got {weight!r}; give one"
                )
            try:
                weights[self.index(name)] = float(weight)
            except TypeError as error:
                raise MHFFError(
                    f"expected a number as the weight of head '{name}', got {weight!r}; give one"
                ) from error
        total = float(weights.sum())
        if not abs(total - 1.0) <= MIX_TOLERANCE:
            raise MHFFError(
                f"the weights of a head mix must sum to 1, got {dict(spec)} with the sum "
                f"{total:g}; rescale them"
            )
        return weights

    def check_mixes(self, mixes: Sequence[Mix]) -> None:
        """Raise MHFFError unless names are unique, and weights are of these heads and sum to 1."""
        taken = list(self.names)
        for mix in mixes:
            if mix.name in taken:
                raise MHFFError(
                    f"the name '{mix.name}' of a mix is taken: there are {listing(taken)}; choose "
                    "another"
                )
            taken.append(mix.name)
            self.row(mix.weights)

    def extrapolations(self, weights: torch.Tensor, symbols: Sequence[str]) -> list[str]:
        """A sentence for each head that is used for elements it was not trained on.

        `weights` is `[n_heads]` or `[n_atoms, n_heads]`, `symbols` the elements of the atoms. Heads
        that do not record their elements are skipped.
        """
        per_atom = weights.expand(len(symbols), len(self))
        sentences = []
        for column, head in enumerate(self):
            used = {
                symbol
                for symbol, weight in zip(symbols, per_atom[:, column].tolist(), strict=True)
                if weight
            }
            untrained = sorted(used - set(head.elements)) if head.elements else []
            if untrained:
                sentences.append(
                    f"head '{head.name}' was not trained on {listing(untrained)}; its predictions "
                    "for these elements are extrapolations"
                )
        return sentences

    def with_dispersion(self, weights: torch.Tensor) -> list[str]:
        """Names of the heads in use that contain dispersion; `weights` as in `extrapolations`."""
        used = (weights.reshape(-1, len(self)) != 0).any(0).tolist()
        return [
            head.name
            for head, is_used in zip(self, used, strict=True)
            if is_used and head.dispersion
        ]


class OnceOnly:
    """A filter that passes each sentence on only once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def new(self, sentences: Sequence[str]) -> list[str]:
        """The sentences that were not passed on before."""
        fresh = [sentence for sentence in sentences if sentence not in self._said]
        self._said.update(fresh)
        return fresh
