"""Primitive layers on packed features: equivariant linear maps, activations, radial networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "silu": functional.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "abs": torch.abs,
    "none": lambda x: x,
}


def normal(
    shape: tuple[int, ...], generator: torch.Generator, divisor: torch.Tensor | None = None
) -> torch.Tensor:
    """Normal numbers N(0, 1), over a divisor if there is one, in float32 whatever torch's default.

    A tensor without memory gets no numbers: torch would import its compiler for that, which takes
    1 s.
    """
    numbers = torch.empty(shape, dtype=torch.float32)
    if numbers.is_meta:
        return numbers
    numbers.normal_(generator=generator)
    return numbers if divisor is None else numbers / divisor


def uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> torch.Tensor:
    """Uniform numbers U(-bound, bound), in float32 regardless of torch's default dtype."""
    return torch.empty(shape, dtype=torch.float32).uniform_(-bound, bound, generator=generator)


class Activation(nn.Module):
    """A function times a constant that gives it unit second moment for normal numbers."""

    def __init__(self, function: str, factor: torch.Tensor) -> None:
        """`function`: a name in `FUNCTIONS`; `factor []`: see `mhff.model.constants`."""
        super().__init__()
        self.function = function
        self.factor = float(factor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * FUNCTIONS[self.function](x)


class PackedLinear(nn.Module):
    """Equivariant linear map, one matrix W_l over channels per degree: out = x W_l / sqrt(fan_in).

    `fan_in` and `fan_out` list channels by l. Input: the channels of degree l as `[n, 2l + 1,
    fan_in[l]]`, one tensor per l; output: the same with `fan_out[l]`.
    """

    def __init__(
        self, fan_in: Sequence[int], fan_out: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            normal((n_in, n_out), generator) for n_in, n_out in zip(fan_in, fan_out, strict=True)
        )

    def forward(self, degrees: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [
            x @ (weight * weight.shape[0] ** -0.5)
            for x, weight in zip(degrees, self.weights, strict=True)
        ]


class ElementLinear(nn.Module):
    """Equivariant linear map of each element: out = x W_l[z] / sqrt(n_elements * fan_in)."""

    def __init__(
        self,
        n_elements: int,
        fan_in: Sequence[int],
        fan_out: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            normal((n_elements, n_in, n_out), generator)
            for n_in, n_out in zip(fan_in, fan_out, strict=True)
        )

    def forward(self, degrees: Sequence[torch.Tensor], species: torch.Tensor) -> list[torch.Tensor]:
        present = species.unique()
        own = (species.unsqueeze(1) == present)[:, None, :, None]
        return [
            # multiplying zeros of other elements costs less than a copy of a matrix for each atom
            (x.unsqueeze(2) * own.to(x.dtype)).flatten(2)
            @ weight.index_select(0, present).flatten(0, 1)
            * (weight.shape[0] * weight.shape[1]) ** -0.5
            for x, weight in zip(degrees, self.weights, strict=True)
        ]


class ElementEmbedding(nn.Module):
    """Scalars of an element, `[n, n_channels]`: W[z] / sqrt(n_elements)."""

    def __init__(self, initial: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(initial)

    def table(self) -> torch.Tensor:
        """Embedding of every element, `[n_elements, n_channels]`."""
        return self.weight * self.weight.shape[0] ** -0.5

    def forward(self, species: torch.Tensor) -> torch.Tensor:
        return self.table().index_select(0, species)


class RadialNetwork(nn.Module):
    """Bias-free network of the classic interactions: x W / sqrt(fan_in), scaled silu in between.

    It computes in the precision of its input.
    """

    def __init__(
        self,
        widths: Sequence[int],
        constants: Mapping[str, torch.Tensor],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.activation = Activation("silu", constants["activation.silu"])
        self.weights = nn.ParameterList(
            normal((n_in, n_out), generator) for n_in, n_out in pairwise(widths)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.hidden(x) @ self.last().to(x.dtype)

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Input of the last layer."""
        for layer in range(len(self.weights) - 1):
            x = functional.silu(x @ self._matrix(layer).to(x.dtype))
        return x

    def last(self) -> torch.Tensor:
        """Matrix `[n_hidden, n_out]` of the last layer."""
        return self._matrix(len(self.weights) - 1)

    def _matrix(self, layer: int) -> torch.Tensor:
        """Weights with all factors, which are cheaper here than on the edges."""
        weight = self.weights[layer]
        scale = self.activation.factor if layer > 0 else 1.0
        return weight * (weight.shape[0] ** -0.5 * scale)


class PairNetwork(nn.Module):
    """Network of the non-linear interaction: radial basis, source(z_sender), target(z_receiver).

    Linear, LayerNorm, silu, ..., Linear. The elements' share of the first layer is computed once
    per element and gathered. It computes in the precision of `radial`.
    """

    norms: Any
    """Each is a `LayerNorm`; torch does not type the elements of a ModuleList."""

    def __init__(
        self, n_radial: int, n_element: int, widths: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.split = [n_radial, n_element, n_element]
        fan_in = [sum(self.split), *widths[:-1]]
        sizes = list(zip(fan_in, widths, strict=True))
        self.weights = nn.ParameterList(
            uniform((n_out, n_in), n_in**-0.5, generator) for n_in, n_out in sizes
        )
        self.biases = nn.ParameterList(
            uniform((n_out,), n_in**-0.5, generator) for n_in, n_out in sizes
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(width, dtype=torch.float32) for width in widths[:-1]
        )

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Values `[E, widths[-1]]` of edges, from the inputs of `hidden`."""
        hidden = self.hidden(*inputs)
        return hidden @ self.last().to(hidden.dtype)

    def hidden(
        self,
        radial: torch.Tensor,
        source: torch.Tensor,
        target: torch.Tensor,
        sender: torch.Tensor,
        receiver: torch.Tensor,
    ) -> torch.Tensor:
        """Input `[E, n_hidden + 1]` of the last layer: its hidden functions, and 1 for its bias.

        `radial [E, n_radial]`; `source`, `target` `[n_elements, n_element]`; `sender`, `receiver`
        `[E]`: their species.
        """
        dtype = radial.dtype
        first, *middle, _ = self.weights  # a slice would copy LoRA's weights without gradients
        of_radial, of_source, of_target = first.to(dtype).split(self.split, dim=1)
        of_sender = source.to(dtype) @ of_source.T
        of_receiver = target.to(dtype) @ of_target.T + self.biases[0].to(dtype)
        x = (
            radial @ of_radial.T
            + of_sender.index_select(0, sender)
            + of_receiver.index_select(0, receiver)
        )
        norms = list(self.norms)[:-1]
        for norm, weight, bias in zip(norms, middle, list(self.biases)[1:-1], strict=True):
            x = functional.linear(_normal(x, norm), weight.to(dtype), bias.to(dtype))
        return torch.cat([_normal(x, self.norms[-1]), x.new_ones(x.shape[0], 1)], dim=1)

    def last(self) -> torch.Tensor:
        """Matrix `[n_hidden + 1, n_out]` of the last layer: weights, and the bias as last row."""
        return torch.cat([self.weights[-1].T, self.biases[-1].unsqueeze(0)])


def _normal(x: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    """silu(LayerNorm(x)) in the precision of `x`."""
    weight = norm.weight.to(x.dtype)
    bias = norm.bias.to(x.dtype)
    return functional.silu(functional.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps))


def split_degrees(packed: torch.Tensor) -> list[torch.Tensor]:
    """Packed features `[n, (lmax + 1)^2, C]` as one tensor `[n, 2l + 1, C]` per l."""
    lmax = int(packed.shape[1] ** 0.5 + 0.5) - 1
    return list(packed.split([2 * degree + 1 for degree in range(lmax + 1)], dim=1))


def pack_degrees(degrees: Sequence[torch.Tensor]) -> torch.Tensor:
    """Inverse of `split_degrees`."""
    return torch.cat(list(degrees), dim=1)


def add_degrees(
    degrees: Sequence[torch.Tensor], terms: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Sum of features and terms of each degree; the terms may end at a lower degree."""
    sums = [x + term for x, term in zip(degrees, terms, strict=False)]
    return [*sums, *degrees[len(terms) :]]
