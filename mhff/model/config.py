"""What a model is, as settings: enough to build it with random weights."""

from __future__ import annotations

from typing import Literal

from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator


class ModelConfig(BaseModel):
    """Architecture of a multi-head MACE. The defaults are the published mace-mh-1 architecture.

    Node features are packed: `[n_nodes, (hidden_lmax + 1)^2, n_channels]`, natural parity, one channel count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    elements: tuple[str, ...] = Field(min_length=1)
    """Chemical symbols, in ascending atomic number; a species index is a position in this list."""
    heads: tuple[str, ...] = Field(default=("default",), min_length=1)
    r_max: float = Field(default=6.0, gt=0, le=100)
    """Cutoff radius, A."""
    n_layers: int = Field(default=2, ge=1, le=16)
    n_channels: int = Field(default=512, ge=1, le=1_000_000)
    n_edge_channels: int | None = Field(default=128, ge=1, le=1_000_000)
    """Channels on edges (messages); None means n_channels."""
    hidden_lmax: int = Field(default=1, ge=0)
    l_max: int = Field(default=3, ge=1, le=11)
    """Largest degree of the spherical harmonics, and of the features that enter the product."""
    correlation: int = Field(default=3, ge=1, le=4)
    """Largest body order of the symmetric contraction (nu)."""
    interaction: Literal["nonlinear_residual", "residual"] = "nonlinear_residual"
    agnostic_product: bool = True
    """One set of product weights for all elements (mace-mh-1), or one per element (MACE-MP)."""
    n_radial: int = Field(default=10, ge=1, le=1000)
    radial_mlp: tuple[PositiveInt, ...] = Field(default=(64, 64, 64), min_length=1)
    distance_transform: Literal["agnesi", "none"] = "agnesi"
    cutoff_power: int = Field(default=5, ge=2, le=100)
    """Integer p of the polynomial envelope."""
    apply_cutoff: bool = False
    """True: the envelope multiplies the radial basis. False: it multiplies the radial weights and the density."""
    zbl: bool = True
    """Ziegler-Biersack-Littmark pair repulsion at short distance."""
    readout_width: int = Field(default=16, ge=1, le=1_000_000)
    """Hidden scalars per head of the last, non-linear readout."""
    avg_num_neighbors: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Mean number of neighbours in the training data; normalises the messages of the `residual` interaction only."""

    @field_validator("elements")
    @classmethod
    def _known_and_sorted(cls, elements: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [symbol for symbol in elements if atomic_numbers.get(symbol, 0) == 0]
        if unknown:
            raise ValueError(f"expected chemical symbols, got {', '.join(unknown)}")
        ordered = tuple(sorted(set(elements), key=lambda symbol: atomic_numbers[symbol]))
        if ordered != elements:
            raise ValueError(f"expected each element once in ascending atomic number, got {', '.join(elements)}")
        return elements

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        if self.hidden_lmax > self.l_max:
            raise ValueError(f"hidden_lmax ({self.hidden_lmax}) cannot exceed l_max ({self.l_max})")
        if self.interaction == "nonlinear_residual" and self.apply_cutoff:
            raise ValueError(
                "apply_cutoff must be false with the nonlinear_residual interaction: else the energy jumps at r_max"
            )
        return self

    @property
    def atomic_numbers(self) -> tuple[int, ...]:
        """Atomic numbers of `elements`."""
        return tuple(atomic_numbers[symbol] for symbol in self.elements)

    @property
    def edge_channels(self) -> int:
        """Channels of the messages."""
        return self.n_edge_channels or self.n_channels

    def input_lmax(self, layer: int) -> int:
        """Largest degree of the node features that enter a layer."""
        return self.hidden_lmax if layer else 0

    def output_lmax(self, layer: int) -> int:
        """Largest degree of the node features that leave a layer: the last one keeps scalars only."""
        return self.hidden_lmax if layer < self.n_layers - 1 else 0
