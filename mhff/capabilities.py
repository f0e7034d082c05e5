"""Capabilities of a model or a compiled program, known without building a network."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict

from mhff.graph import DEFAULT_STATE
from mhff.heads import Heads, HeadSpec
from mhff.model.config import CutoffRadius, ModelConfig, StateEmbedding
from mhff.options import Precision


class Capabilities(BaseModel):
    """Everything that a caller must know to prepare inputs and read outputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heads: Heads
    elements: tuple[str, ...]
    """Chemical symbols in the order of the species index."""
    r_max: CutoffRadius
    precision: Precision
    device: str = "cpu"
    default_head: str | None = None
    """Head that was chosen when a program was compiled; None for a model."""
    state_embeddings: tuple[StateEmbedding, ...] = ()
    """The state inputs that matter: total charge, spin multiplicity, both or neither."""
    default_state: tuple[float, float] = DEFAULT_STATE
    """Charge and multiplicity if none are given."""

    @property
    def dtype(self) -> torch.dtype:
        """The precision as a torch dtype."""
        return self.precision.dtype

    def head_row(self, head: HeadSpec | None) -> torch.Tensor:
        """Head weights `[n_heads]` of a head or a mix; None is the default head or the only one."""
        return self.heads.row(self.default_head if head is None else head)


def model_capabilities(
    config: ModelConfig, heads: Heads, precision: Precision, device: str = "cpu"
) -> Capabilities:
    """Capabilities of a model of this architecture."""
    return Capabilities(
        heads=heads,
        elements=config.elements,
        r_max=config.r_max,
        precision=precision,
        device=device,
        state_embeddings=config.state_embeddings,
    )
