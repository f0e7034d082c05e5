"""Blocks of a lowered network between convolution and product, and the skip terms.

Factors are folded into the matrices. The contributions of an atom's own features (residual and skip
term) are kept apart from those of its neighbours, because in the first layer they depend on the
element only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from mhff.model.interaction import ClassicInteraction, Interaction, NonLinearResidualInteraction
from mhff.model.mace import MACE
from mhff.ops.flat import join_flat, split_flat
from mhff_deploy.lowering.linear import ElementMaps, Maps, element_matrices, matrices

if TYPE_CHECKING:
    from mhff_deploy.lowering.reference import Kernels


class NonLinearMixing(nn.Module):
    """Mapped messages to the features of the product in the non-linear block."""

    alpha: torch.Tensor
    beta: torch.Tensor

    def __init__(self, interaction: NonLinearResidualInteraction, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.residual = Maps(matrices(interaction.linear_res))
        self.register_buffer("alpha", interaction.alpha.detach().clone())
        self.register_buffer("beta", interaction.beta.detach().clone())

    def forward(
        self,
        kernels: Kernels,
        mapped: torch.Tensor,
        density: torch.Tensor,
        residual: list[torch.Tensor],
        species: torch.Tensor,
    ) -> torch.Tensor:
        """Flat features of n atoms from flat mapped messages; `density [n]`.

        `residual`: contributions of the atoms' own features, one tensor for each l that has one.
        """
        scale = 1 / (self.beta * density + self.alpha)
        return kernels.gate(self.layer)(mapped, scale, residual)


GateCall = Callable[[torch.Tensor, torch.Tensor, Sequence[torch.Tensor]], torch.Tensor]
"""A gate and the map after it, called as `Gate.forward`."""


class Gate(nn.Module):
    """The gate of a non-linear block and the map after it, whose matrices hold the factors."""

    def __init__(self, interaction: NonLinearResidualInteraction) -> None:
        super().__init__()
        n_vectors = len(interaction.linear_2.weights) - 1
        factors = [interaction.activation.factor, *[interaction.gate.factor] * n_vectors]
        self.n_channels = interaction.n_channels
        self.widths = message_map(interaction).widths
        self.after = Maps(
            [f * weight for f, weight in zip(factors, matrices(interaction.linear_2), strict=True)]
        )

    def forward(
        self, mapped: torch.Tensor, scale: torch.Tensor, residual: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Flat features of n atoms from flat mapped messages, times `scale [n]`, and residuals."""
        n = scale.shape[0]
        z = [scale[:, None, None] * message for message in split_flat(mapped, n, self.widths)]
        z = [x + residual[l] if l < len(residual) else x for l, x in enumerate(z)]
        scalars, *gates = z[0].split(self.n_channels, dim=2)
        gated = [torch.sigmoid(gate) * x for gate, x in zip(gates, z[1:], strict=True)]
        return join_flat(self.after([torch.nn.functional.silu(scalars), *gated]))


class ClassicMixing(nn.Module):
    """Mapped messages to the features of the product in the four classic blocks."""

    def __init__(self, interaction: ClassicInteraction) -> None:
        super().__init__()
        self.widths = message_map(interaction).widths
        self.residual = Maps([])
        self.mix = (
            None if interaction.mix is None else ElementMaps(element_matrices(interaction.mix))
        )

    def forward(
        self,
        kernels: Kernels,
        mapped: torch.Tensor,
        density: torch.Tensor | None,
        residual: list[torch.Tensor],
        species: torch.Tensor,
    ) -> torch.Tensor:
        """Flat features of n atoms from flat mapped messages; `density [n]`.

        `residual` is empty, because these blocks have none.
        """
        if density is None and self.mix is None:
            return mapped
        a = split_flat(mapped, species.shape[0], self.widths)
        if density is not None:
            a = [x / (density[:, None, None] + 1) for x in a]
        return join_flat(a if self.mix is None else self.mix.by_element(a, species))


class Skip(nn.Module):
    """The skip term of a layer: none, a map, or a map for each element."""

    def __init__(self, interaction: Interaction) -> None:
        super().__init__()
        self.maps: Maps | None = None
        self.element_maps: ElementMaps | None = None
        if isinstance(interaction, NonLinearResidualInteraction):
            self.maps = Maps(matrices(interaction.skip))
        elif isinstance(interaction, ClassicInteraction) and interaction.skip is not None:
            self.element_maps = ElementMaps(element_matrices(interaction.skip))

    def __len__(self) -> int:
        return len(self.maps or self.element_maps or ())

    def forward(self, degrees: Sequence[torch.Tensor], species: torch.Tensor) -> list[torch.Tensor]:
        """One tensor `[n, 2l + 1, C]` for each l that has a skip term."""
        if self.maps is not None:
            return self.maps(degrees[: len(self)])
        if self.element_maps is not None:
            return self.element_maps.by_element(degrees[: len(self)], species)
        return []


def build_mixing(interaction: Interaction, layer: int) -> NonLinearMixing | ClassicMixing:
    """The lowered form of an interaction block's linear maps."""
    if isinstance(interaction, NonLinearResidualInteraction):
        return NonLinearMixing(interaction, layer)
    if isinstance(interaction, ClassicInteraction):
        return ClassicMixing(interaction)
    raise TypeError(f"no lowered form of {type(interaction).__name__}")


def gates_of(network: MACE) -> dict[int, Gate]:
    """Gates of the layers that have one."""
    interactions = {index: layer.interaction for index, layer in enumerate(network.layers)}
    return {
        index: Gate(interaction)
        for index, interaction in interactions.items()
        if isinstance(interaction, NonLinearResidualInteraction)
    }


def message_map(interaction: Interaction) -> Maps:
    """The linear map of the messages, which kernels apply (`reference.Kernels.convolution`)."""
    if isinstance(interaction, NonLinearResidualInteraction):
        return Maps(matrices(interaction.linear_1))
    if isinstance(interaction, ClassicInteraction):
        norm = interaction.avg_num_neighbors if interaction.density_network is None else 1.0
        return Maps([weight / norm for weight in matrices(interaction.linear)])
    raise TypeError(f"no lowered form of {type(interaction).__name__}")
