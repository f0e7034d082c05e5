"""Readouts and reference energies: per-atom energies of every head from the invariant features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from mhff.model.config import ModelConfig
from mhff.model.layers import Activation, normal


class PerHead(nn.Module):
    """A module with weights of its own for every head."""

    def copied(self, columns: Sequence[int]) -> dict[str, torch.Tensor]:
        """Weights, by name, of a module whose heads are copies of the heads in these columns."""
        raise NotImplementedError


class LinearReadout(PerHead):
    """Energies `[n, n_heads]` of scalars `[n, C]`: x W / sqrt(C)."""

    def __init__(
        self, config: ModelConfig, constants: Mapping[str, torch.Tensor], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal((config.n_channels, len(config.heads)), generator))

    def forward(self, scalars: torch.Tensor) -> torch.Tensor:
        return scalars @ (self.weight * self.weight.shape[0] ** -0.5)

    def copied(self, columns: Sequence[int]) -> dict[str, torch.Tensor]:
        """See `PerHead.copied`."""
        return {"weight": self.weight.detach()[:, list(columns)]}


class NonLinearReadout(PerHead):
    """Energies `[n, n_heads]` of scalars `[n, C]` through `readout_width` hidden scalars per head.

    The fan-in of the second map counts the hidden scalars of all heads, as in mace-torch.
    """

    def __init__(
        self, config: ModelConfig, constants: Mapping[str, torch.Tensor], generator: torch.Generator
    ) -> None:
        super().__init__()
        n_heads = len(config.heads)
        width = config.readout_width
        self.activation = Activation(config.readout_activation, constants["activation.readout"])
        self.weight_1 = nn.Parameter(normal((config.n_channels, n_heads * width), generator))
        self.weight_2 = nn.Parameter(normal((n_heads, width), generator))

    def forward(self, scalars: torch.Tensor) -> torch.Tensor:
        per_head = self.hidden(scalars) * self.weight_2
        return per_head.sum(2) * self.weight_2.numel() ** -0.5

    def hidden(self, scalars: torch.Tensor) -> torch.Tensor:
        """Hidden scalars `[n, n_heads, readout_width]`."""
        hidden = self.activation(scalars @ (self.weight_1 * self.weight_1.shape[0] ** -0.5))
        return hidden.unflatten(1, self.weight_2.shape)

    def copied(self, columns: Sequence[int]) -> dict[str, torch.Tensor]:
        """See `PerHead.copied`; equal energies up to rounding, because the fan-in counts heads."""
        chosen = list(columns)
        first = self.weight_1.detach().unflatten(1, self.weight_2.shape)[:, chosen]
        return {"weight_1": first.flatten(1), "weight_2": self._rescaled(self.weight_2, chosen)}

    def _rescaled(self, weight: nn.Parameter, columns: list[int]) -> torch.Tensor:
        """Weights of these heads, for the fan-in of their number."""
        factor = (len(columns) / len(weight)) ** 0.5
        return (weight.detach()[columns].double() * factor).to(weight.dtype)


class NonLinearBiasReadout(NonLinearReadout):
    """A readout with a second hidden layer per head, and biases after the first (mace-omol)."""

    def __init__(
        self, config: ModelConfig, constants: Mapping[str, torch.Tensor], generator: torch.Generator
    ) -> None:
        super().__init__(config, constants, generator)
        n_heads, width = self.weight_2.shape
        self.weight_middle = nn.Parameter(normal((n_heads, width, width), generator))
        self.bias_middle = nn.Parameter(torch.zeros(n_heads, width, dtype=torch.float32))
        self.bias_2 = nn.Parameter(torch.zeros(n_heads, dtype=torch.float32))

    def forward(self, scalars: torch.Tensor) -> torch.Tensor:
        return super().forward(scalars) + self.bias_2

    def hidden(self, scalars: torch.Tensor) -> torch.Tensor:
        """Hidden scalars `[n, n_heads, readout_width]`."""
        weight = self.weight_middle * self.weight_2.numel() ** -0.5
        first = super().hidden(scalars).transpose(0, 1)
        return self.activation(torch.bmm(first, weight).transpose(0, 1) + self.bias_middle)

    def copied(self, columns: Sequence[int]) -> dict[str, torch.Tensor]:
        """See `NonLinearReadout.copied`."""
        chosen = list(columns)
        return {
            **super().copied(columns),
            "weight_middle": self._rescaled(self.weight_middle, chosen),
            "bias_middle": self.bias_middle.detach()[chosen],
            "bias_2": self.bias_2.detach()[chosen],
        }


READOUTS = {"nonlinear": NonLinearReadout, "nonlinear_bias": NonLinearBiasReadout}
"""Readouts of the last layer, if there are several, by `ModelConfig.readout`."""


class ReferenceEnergies(PerHead):
    """Each head's isolated-atom energies E0s, scale and shift, eV, always in float64.

    node_energy = E0[head, z] + scale[head] * interaction + shift[head]. E0s reach thousands of eV,
    where float32 resolves only 1e-4 eV.
    """

    E0s: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, n_heads: int, n_elements: int) -> None:
        super().__init__()
        self.register_buffer("E0s", torch.zeros(n_heads, n_elements, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_heads, dtype=torch.float64))
        self.register_buffer("shift", torch.zeros(n_heads, dtype=torch.float64))

    def forward(self, interaction: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Node energies `[n, n_heads]`, eV, float64.

        `interaction [n, n_heads]`: interaction energies; `species [n]`.
        """
        return (
            self.E0s.T.index_select(0, species)
            + self.scale * interaction.to(torch.float64)
            + self.shift
        )

    def copied(self, columns: Sequence[int]) -> dict[str, torch.Tensor]:
        """See `PerHead.copied`."""
        return {name: buffer[list(columns)] for name, buffer in self.named_buffers()}

    def _apply(
        self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
    ) -> ReferenceEnergies:
        for name, buffer in self.named_buffers():
            setattr(self, name, buffer.to(fn(buffer.new_empty(0)).device))
        return self
