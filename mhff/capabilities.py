"""Capabilities of a model or a compiled program, known without building a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, model_validator

from mhff.errors import MHFFError, listing
from mhff.graph import DEFAULT_STATE
from mhff.heads import Heads, HeadSpec
from mhff.mixes import Mix
from mhff.model.config import CutoffRadius, ModelConfig, StateEmbedding
from mhff.options import Precision


class Capabilities(BaseModel):
    """Everything that a caller must know to prepare inputs and read outputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heads: Heads
    elements: tuple[str, ...]
    """Chemical symbols in the order of the species index."""
    r_max: CutoffRadius
    n_layers: int
    """Layers of message passing: an atom's energy depends on others up to n_layers * r_max away."""
    precision: Precision
    feature_size: int = 0
    """Channels times components of the largest features of an atom: a measure of memory."""
    device: str = "cpu"
    default_head: str | None = None
    """Head or mix that was chosen when a program was compiled; None for a model."""
    mixes: tuple[Mix, ...] = ()
    """Mixes that were named when a program was compiled; none for a model."""
    state_embeddings: tuple[StateEmbedding, ...] = ()
    """The state inputs that matter: total charge, spin multiplicity, both or neither."""
    default_state: tuple[float, float] = DEFAULT_STATE
    """Charge and multiplicity if none are given."""

    @model_validator(mode="after")
    def _mixes_are_of_these_heads(self) -> Capabilities:
        try:
            self.heads.check_mixes(self.mixes)
        except MHFFError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def dtype(self) -> torch.dtype:
        """The precision as a torch dtype."""
        return self.precision.dtype

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names that may be chosen: heads, then mixes."""
        return (*self.heads.names, *(mix.name for mix in self.mixes))

    def complete(self, beginning: str) -> str:
        """Full name of a head, of which the beginning is enough, or of a mix."""
        return beginning if beginning in self.head_names else self.heads.complete(beginning)

    def head_row(self, head: HeadSpec | None) -> torch.Tensor:
        """Head weights `[n_heads]` of a head or a mix; None is the default head or the only one.

        Raises MHFFError, naming those that exist, for an unknown one.
        """
        chosen = self.default_head if head is None else head
        for mix in self.mixes:
            if mix.name == chosen:
                return self.heads.row(mix.weights)
        if self.mixes and isinstance(chosen, str) and chosen not in self.heads.names:
            raise MHFFError(
                f"unknown head {chosen!r}: this program has the heads {listing(self.heads.names)} "
                f"and the mixes {listing(self.mixes)}; choose one of them"
            )
        return self.heads.row(chosen)

    def head_rows(self, names: Sequence[str]) -> torch.Tensor:
        """Head weights `[n_atoms, n_heads]`, float64, from the name of a head or mix per atom."""
        rows = {name: self.head_row(name) for name in dict.fromkeys(names)}
        position = {name: index for index, name in enumerate(rows)}
        table = torch.zeros(len(rows), len(self.heads), dtype=torch.float64)
        for name, row in rows.items():
            table[position[name]] = row
        return table[torch.tensor([position[name] for name in names], dtype=torch.int64)]


def model_capabilities(
    config: ModelConfig, heads: Heads, precision: Precision, device: str = "cpu"
) -> Capabilities:
    """Capabilities of a model of this architecture."""
    return Capabilities(
        heads=heads,
        elements=config.elements,
        r_max=config.r_max,
        n_layers=config.n_layers,
        precision=precision,
        feature_size=config.n_channels * (config.l_max + 1) ** 2,
        device=device,
        state_embeddings=config.state_embeddings,
    )
