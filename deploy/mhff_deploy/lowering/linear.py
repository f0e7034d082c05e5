"""Linear maps of a lowered network: plain matrices, factors folded in, one matrix product each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mhff.model.layers import ElementLinear, PackedLinear
from mhff.ops.flat import join_flat, split_flat


def matrices(linear: PackedLinear) -> list[torch.Tensor]:
    """Matrices of an equivariant map, one per degree, with its factor."""
    return [weight.detach() * weight.shape[0] ** -0.5 for weight in linear.weights]


def element_matrices(linear: ElementLinear) -> list[torch.Tensor]:
    """Matrices `[n_elements, fan_in, fan_out]` of a map by element, with its factor, by degree."""
    return [
        weight.detach() * (weight.shape[0] * weight.shape[1]) ** -0.5 for weight in linear.weights
    ]


class Maps(nn.Module):
    """One matrix per degree."""

    def __init__(self, weights: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.names = [f"degree_{degree}" for degree in range(len(weights))]
        for name, weight in zip(self.names, weights, strict=True):
            self.register_buffer(name, weight.contiguous())

    def __len__(self) -> int:
        return len(self.names)

    @property
    def widths(self) -> list[int]:
        """Channels of each degree after the map."""
        return [weight.shape[1] for weight in self.tensors()]

    def flat(self, features: torch.Tensor, n: int) -> torch.Tensor:
        """Flat features of all degrees (`mhff.ops.flat`) of n atoms, mapped."""
        return join_flat(
            self(split_flat(features, n, [weight.shape[0] for weight in self.tensors()]))
        )

    def tensors(self) -> list[torch.Tensor]:
        """The matrices, one per degree."""
        return [getattr(self, name) for name in self.names]

    def one(self, degree: int, x: torch.Tensor) -> torch.Tensor:
        """`x [n, 2l + 1, fan_in]` of one degree, mapped."""
        return product(x, getattr(self, self.names[degree]))

    def forward(self, degrees: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The degrees that have a matrix, mapped."""
        return [self.one(degree, x) for degree, x in zip(range(len(self)), degrees, strict=False)]


class ElementMaps(Maps):
    """Matrices for each element, `[n_elements, fan_in, fan_out]`, by degree.

    The matrices of a degree form one, `[n_elements * fan_in, fan_out]`: an atom's features fill the
    block of its element, and zeros the others.
    """

    elements: torch.Tensor

    def __init__(self, weights: Sequence[torch.Tensor]) -> None:
        super().__init__([weight.flatten(0, 1) for weight in weights])
        self.register_buffer("elements", torch.arange(weights[0].shape[0]))

    def by_element(
        self, degrees: Sequence[torch.Tensor], species: torch.Tensor
    ) -> list[torch.Tensor]:
        """The features of each degree, `[n, 2l + 1, fan_in]`, mapped by their atom's element."""
        chosen = (species.unsqueeze(1) == self.elements)[:, None, :, None]
        return [
            self.one(l, (x.unsqueeze(2) * chosen.to(x.dtype)).flatten(2))
            for l, x in enumerate(degrees)
        ]


def product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`x [n, m, fan_in]` times a matrix, as one product of matrices."""
    return (x.flatten(0, 1) @ weight).unflatten(0, (-1, x.shape[1]))
