"""Edges, and the convolution of neighbours' features over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch

from mhff.model.config import ModelConfig
from mhff.model.coupling import message_layout
from mhff.model.exact import ExactConstants
from mhff.model.radial import RadialBasis
from mhff.ops.convolution import Convolve, convolution


class RadialInputs(NamedTuple):
    """Inputs of the radial networks for E edges."""

    species: torch.Tensor
    """`[2, E]`: species index of sender and receiver."""
    basis: torch.Tensor
    """`[E, n_radial]`."""
    envelope: torch.Tensor
    """`[E, 1]`."""

    @classmethod
    def at(cls, basis: RadialBasis, r: torch.Tensor, species: torch.Tensor) -> RadialInputs:
        """Inputs at distances `r [E]` between `species [2, E]`."""
        return cls(species, *basis(r, species[0], species[1]))

    def evaluate(
        self, function: Callable[[RadialInputs], torch.Tensor], last: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See `Radial.evaluate`."""
        values = function(self)
        return values if last is None else values @ last.to(values.dtype)


class Radial(Protocol):
    """Radial inputs of E edges, or what stands for them in training."""

    @property
    def species(self) -> torch.Tensor:
        """`[2, E]`: species index of sender and receiver."""
        ...

    def evaluate(
        self, function: Callable[[RadialInputs], torch.Tensor], last: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Values `[E, width]` of a function of the edges' inputs.

        With the matrix `last [n_hidden, width]`, `function` has its `n_hidden` values multiplied by
        it: a linear map need not be evaluated wherever the function is.
        """
        ...


class Edges(NamedTuple):
    """E edges j -> i; senders are among n_all atoms, receivers among n_local."""

    edge_index: torch.Tensor
    """`[2, E]`: sender, receiver."""
    harmonics: torch.Tensor
    """`[E, (l_max + 1)^2]`."""
    radial: Radial
    n_local: int
    ghost_plan: torch.Tensor
    """Owners of the ghosts (`mhff.ops.ghosts`)."""

    @property
    def has_ghosts(self) -> bool:
        """Whether some senders are ghosts."""
        return self.ghost_plan.shape[0] > 1


class Convolution(ExactConstants):
    """Messages from neighbours, `[n_local, 2l + 1, paths_to[l] * edge_channels]` for each l.

    The messages of an atom without neighbours are zero.
    """

    coupling: torch.Tensor

    def __init__(self, config: ModelConfig, layer: int, coupling: torch.Tensor) -> None:
        super().__init__()
        layout = message_layout(config.message_lmax(layer), config.l_max)
        self.paths_to = layout.paths_to
        self.rows_to = layout.rows_to
        self.n_paths = sum(self.paths_to)
        self.operator: Convolve = convolution
        self.add_constant("coupling", coupling)

    def forward(
        self, features: torch.Tensor, weights: torch.Tensor, edges: Edges
    ) -> list[torch.Tensor]:
        """`features [n_all, (message_lmax + 1)^2, C]`, `weights [E, paths * C]`."""
        per_path = weights.unflatten(1, (self.n_paths, features.shape[2]))
        messages = self.operator(
            features,
            edges.harmonics,
            per_path,
            self.coupling,
            self.paths_to,
            edges.edge_index,
            edges.n_local,
        )
        blocks = messages.split(self.rows_to, dim=1)
        return [block.unflatten(1, (2 * l + 1, -1)).flatten(2) for l, block in enumerate(blocks)]
