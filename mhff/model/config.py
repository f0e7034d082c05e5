"""The architecture of a model as settings, enough to build it with random weights."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

MAX_LAYERS = 16
MAX_WIDTH = 1_000_000
"""Largest number of channels, hidden scalars or rows of a table."""
MIN_R_MAX = 0.1
MAX_R_MAX = 100.0
"""Bounds of the cutoff radius, A."""
CutoffRadius = Annotated[float, Field(ge=MIN_R_MAX, le=MAX_R_MAX)]
"""Cutoff radius, A."""
Correlation = Annotated[int, Field(ge=1, le=4)]


class Block(Enum):
    """An interaction block (`mhff.model.interaction`). Its value is its name in files."""

    # name in files, has_density, is_residual, is_nonlinear
    PLAIN = ("plain", False, False, False)
    RESIDUAL = ("residual", False, True, False)
    DENSITY = ("density", True, False, False)
    DENSITY_RESIDUAL = ("density_residual", True, True, False)
    NONLINEAR_RESIDUAL = ("nonlinear_residual", True, True, True)

    has_density: bool
    """Whether a learned edge density normalises the messages, not the mean number of neighbours."""
    is_residual: bool
    """Whether a skip connection leads past the product; a block without one mixes by element."""
    is_nonlinear: bool
    """Whether a gate follows the messages, and the radial network sees both elements of an edge."""

    def __new__(cls, name: str, has_density: bool, is_residual: bool, is_nonlinear: bool) -> Block:
        """The member called `name` in files."""
        block = object.__new__(cls)
        block._value_ = name
        block.has_density = has_density
        block.is_residual = is_residual
        block.is_nonlinear = is_nonlinear
        return block


class StateEmbedding(BaseModel):
    """How the total charge or the spin multiplicity of a structure enters the node features."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantity: Literal["total_charge", "total_spin"]
    """Charge in e, or spin multiplicity 2S + 1."""
    kind: Literal["categorical", "continuous"]
    """Embedding by a table with a row per integer value, or by a small network of the value."""
    width: int = Field(ge=1, le=MAX_WIDTH)
    n_classes: int = Field(default=0, ge=0, le=MAX_WIDTH)
    """Rows of a categorical embedding's table; a value takes the row value + offset."""
    offset: int = Field(default=0, ge=-MAX_WIDTH, le=MAX_WIDTH)
    bias: bool = True
    """Whether the network of a continuous embedding has biases."""

    @model_validator(mode="after")
    def _consistent(self) -> StateEmbedding:
        if (self.kind == "categorical") != (self.n_classes > 0):
            raise ValueError(
                f"expected n_classes for a categorical embedding only, got {self.kind} with "
                f"{self.n_classes}"
            )
        return self


class ModelConfig(BaseModel):
    """Architecture of a multi-head MACE. The defaults are the published mace-mh-1 architecture.

    Node features are packed as `[n_nodes, (hidden_lmax + 1)^2, n_channels]`: natural parity, the
    same number of channels for every degree.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    elements: tuple[str, ...] = Field(min_length=1)
    """Chemical symbols, in ascending atomic number; a species index is a position in this list."""
    heads: tuple[str, ...] = Field(default=("default",), min_length=1)
    r_max: CutoffRadius = 6.0
    """Cutoff radius, A."""
    n_layers: int = Field(default=2, ge=1, le=MAX_LAYERS)
    n_channels: int = Field(default=512, ge=1, le=MAX_WIDTH)
    n_edge_channels: int | None = Field(default=128, ge=1, le=MAX_WIDTH)
    """Channels on edges (messages); None means n_channels."""
    first_layer_edge_channels: bool = True
    """Whether the first layer has n_edge_channels too; otherwise it has n_channels."""
    edge_lmax: int | None = Field(default=None, ge=0)
    """Largest degree of the features on edges; None means hidden_lmax."""
    hidden_lmax: int = Field(default=1, ge=0)
    l_max: int = Field(default=3, ge=1, le=11)
    """Largest degree of the spherical harmonics and of the features that enter the product."""
    correlation: Correlation | tuple[Correlation, ...] = 3
    """Largest body order nu of the symmetric contraction, one for all layers or one for each."""
    interaction: Block = Block.NONLINEAR_RESIDUAL
    first_interaction: Block | None = None
    """Block of the first layer; None means `interaction`."""
    agnostic_product: bool = True
    """One set of product weights for all elements (mace-mh-1), or one per element (MACE-MP)."""
    radial_basis: Literal["bessel", "gaussian", "chebyshev"] = "bessel"
    n_radial: int = Field(default=10, ge=1, le=1000)
    radial_mlp: tuple[PositiveInt, ...] = Field(default=(64, 64, 64), min_length=1)
    distance_transform: Literal["agnesi", "soft", "none"] = "agnesi"
    cutoff_power: int = Field(default=5, ge=2, le=100)
    """Integer p of the polynomial envelope."""
    apply_cutoff: bool = False
    """Whether the envelope multiplies the radial basis, or the radial weights and the density."""
    zbl: bool = True
    """Ziegler-Biersack-Littmark pair repulsion at short distance."""
    readout: Literal["nonlinear", "nonlinear_bias"] = "nonlinear"
    """Readout of the last layer: one hidden layer, or two with biases. All others are linear."""
    readout_width: int = Field(default=16, ge=1, le=MAX_WIDTH)
    """Hidden scalars per head of the last readout."""
    readout_activation: Literal["silu", "tanh", "abs", "none"] = "silu"
    last_readout_only: bool = False
    """Whether only the last layer has a readout."""
    state_embeddings: tuple[StateEmbedding, ...] = ()
    """Quantities of the whole structure that enter the node features, as in mace-omol."""
    state_readout: bool = False
    """Whether the initial node features, which hold the state, have a linear readout."""
    avg_num_neighbors: float = Field(default=1.0, ge=1e-6, le=1e6)
    """Mean number of neighbours in the training data; blocks without density divide by it."""

    @field_validator("elements")
    @classmethod
    def _known_and_sorted(cls, elements: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [symbol for symbol in elements if atomic_numbers.get(symbol, 0) == 0]
        if unknown:
            raise ValueError(f"expected chemical symbols, got {', '.join(unknown)}")
        ordered = tuple(sorted(set(elements), key=lambda symbol: atomic_numbers[symbol]))
        if ordered != elements:
            raise ValueError(
                f"expected each element once in ascending atomic number, got {', '.join(elements)}"
            )
        return elements

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        if len(set(self.heads)) != len(self.heads):
            raise ValueError(f"expected each head once, got {', '.join(self.heads)}")
        if self.hidden_lmax > self.l_max:
            raise ValueError(f"hidden_lmax ({self.hidden_lmax}) cannot exceed l_max ({self.l_max})")
        if self.edge_lmax is not None and self.edge_lmax > self.hidden_lmax:
            raise ValueError(
                f"edge_lmax ({self.edge_lmax}) cannot exceed hidden_lmax ({self.hidden_lmax})"
            )
        if len(self.correlations) != self.n_layers:
            raise ValueError(
                f"expected one correlation or one per layer ({self.n_layers}), got "
                f"{len(self.correlations)}"
            )
        if self.last_readout_only and self.n_layers == 1:
            raise ValueError(
                "last_readout_only needs two layers or more: in MACE a single layer would have no "
                "readout"
            )
        quantities = [embedding.quantity for embedding in self.state_embeddings]
        if len(set(quantities)) != len(quantities):
            raise ValueError(
                f"expected each quantity once in state_embeddings, got {', '.join(quantities)}"
            )
        if self.state_readout and not quantities:
            raise ValueError("state_readout needs state_embeddings")
        return self

    @property
    def jumps_at_cutoff(self) -> bool:
        """Whether the energy jumps at r_max, where a non-linear block keeps its biases."""
        blocks = [self.block(layer) for layer in range(self.n_layers)]
        return self.apply_cutoff and any(block.is_nonlinear for block in blocks)

    @property
    def atomic_numbers(self) -> tuple[int, ...]:
        """Atomic numbers of `elements`."""
        return tuple(atomic_numbers[symbol] for symbol in self.elements)

    @property
    def correlations(self) -> tuple[int, ...]:
        """Largest body order of each layer."""
        if isinstance(self.correlation, int):
            return (self.correlation,) * self.n_layers
        return self.correlation

    def block(self, layer: int) -> Block:
        """Interaction block of a layer."""
        if layer == 0 and self.first_interaction is not None:
            return self.first_interaction
        return self.interaction

    @property
    def has_densities(self) -> bool:
        """Whether any layer normalises its messages by a density."""
        return any(self.block(layer).has_density for layer in range(self.n_layers))

    @property
    def radial_of_pairs(self) -> bool:
        """Whether the radial functions depend on the elements of both ends."""
        is_nonlinear = any(self.block(layer).is_nonlinear for layer in range(self.n_layers))
        return is_nonlinear or self.distance_transform != "none"

    def edge_channels(self, layer: int) -> int:
        """Channels of a layer's messages."""
        if self.n_edge_channels is None or (layer == 0 and not self.first_layer_edge_channels):
            return self.n_channels
        return self.n_edge_channels

    def input_lmax(self, layer: int) -> int:
        """Largest degree of the node features that enter a layer."""
        return self.hidden_lmax if layer else 0

    def message_lmax(self, layer: int) -> int:
        """Largest degree of the features that neighbours send in a layer."""
        if self.edge_lmax is None:
            return self.input_lmax(layer)
        return min(self.edge_lmax, self.input_lmax(layer))

    def output_lmax(self, layer: int) -> int:
        """Largest degree of the node features that leave a layer; the last one keeps scalars."""
        return self.hidden_lmax if layer < self.n_layers - 1 else 0

    def has_readout(self, layer: int) -> bool:
        """Whether a layer's features contribute to the energy."""
        return layer == self.n_layers - 1 or not self.last_readout_only
