"""Multiply-adds of a step per atom, counted from a model's architecture.

The count is for energies and their gradient of the model as written, with two changes: radial
functions are interpolated, and everything that depends on the element alone is a constant. The
adjoint of a linear map costs as much as the map, because weights have no gradient here. A kernel
that uses the processor better than a large matrix product can be faster than the floor that
follows.

| convolution, per edge and channel | forward               | adjoint                         |
|-----------------------------------|-----------------------|---------------------------------|
| radial function R, per path       | TAPS                  | 2 TAPS, value and slope; 1 to r |
| R h, per path and input m         | 1                     | 1; 1 to h and 1 to R            |
| coupling, per non-zero pair of m  | 1                     | 1 to R h; 1 to the harmonics    |
| first layer, per output m         | 1 instead of both     | 2: to R and to the harmonics    |

| per atom    | forward                                             | adjoint                    |
|-------------|-----------------------------------------------------|----------------------------|
| linear maps | components x channels in x channels out             | the same                   |
| products    | per channel 1 for each factor of nested polynomials | `polynomial.multiply_adds` |
| readouts    | channels x hidden scalars of all heads, readouts    | the same                   |

Harmonics, envelopes, gates, sums and moving data are not counted: a few per cent of the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

from mhff.model.config import ModelConfig
from mhff.model.coupling import convolution_coupling, convolution_paths, product_basis
from mhff.ops.polynomial import multiply_adds as polynomial_multiply_adds
from mhff.ops.polynomial import nested_rows
from mhff.ops.shapes import MIN_COEFFICIENT
from mhff.ops.spline import TAPS


@dataclass(frozen=True)
class Count:
    """Multiply-adds per atom."""

    convolutions: float
    linear_maps: float
    products: float
    readouts: float

    @property
    def total(self) -> float:
        """Sum over the parts."""
        return self.convolutions + self.linear_maps + self.products + self.readouts


def multiply_adds(config: ModelConfig, neighbours: float) -> Count:
    """Multiply-adds per atom of energies and forces, with this many neighbours (edges per atom)."""
    layers = range(config.n_layers)
    return Count(
        convolutions=neighbours
        * sum(convolution(config, layer) * config.edge_channels(layer) for layer in layers),
        linear_maps=2.0 * sum(linear_maps(config, layer) for layer in layers),
        products=float(sum(product(config, layer) * config.n_channels for layer in layers)),
        readouts=2.0 * sum(readout(config, layer) for layer in layers if config.has_readout(layer)),
    )


def of_elements_only(config: ModelConfig, layer: int) -> bool:
    """Whether the features that enter a layer depend on the element alone."""
    return layer == 0 and not config.state_embeddings


def convolution(config: ModelConfig, layer: int) -> int:
    """Multiply-adds of a convolution per edge and channel, forward and adjoint."""
    paths = convolution_paths(config.message_lmax(layer), config.l_max)
    table = 3 * TAPS * len(paths) + len(paths)
    rows = sum(2 * l3 + 1 for _, _, l3 in paths)
    if of_elements_only(config, layer):
        return table + 3 * rows
    inputs = sum(2 * l1 + 1 for l1, _, _ in paths)
    coupling = convolution_coupling(config.message_lmax(layer), config.l_max)
    pairs = int((coupling.abs() > MIN_COEFFICIENT).any(0).sum())
    return table + 4 * inputs + 3 * pairs


def linear_maps(config: ModelConfig, layer: int) -> int:
    """Multiply-adds of a layer's linear maps per atom, one way."""
    channels = config.n_channels
    edge_channels = config.edge_channels(layer)
    constant = of_elements_only(config, layer)
    block = config.block(layer)
    degrees = range(config.l_max + 1)
    sent = range(config.message_lmax(layer) + 1)
    total = message_map(config, layer)
    total += _maps([channels] * (config.output_lmax(layer) + 1), channels)  # after the product
    if not constant:
        total += _maps([channels for _ in sent], edge_channels)  # before the convolution
    total += gate_map(config, layer)
    if block.is_nonlinear and not constant:
        total += sum(
            (2 * degree + 1) * edge_channels * _mapped(config, layer)[degree] for degree in sent
        )
    if not block.is_residual:
        total += _maps([channels] * len(degrees), channels)  # of each element
    elif not constant:
        total += _maps(
            [channels] * (min(config.input_lmax(layer), config.output_lmax(layer)) + 1), channels
        )  # skip
    return total


def gate_map(config: ModelConfig, layer: int) -> int:
    """Multiply-adds of the map that follows a gate, per atom, one way; 0 without a gate."""
    if not config.block(layer).is_nonlinear:
        return 0
    return _maps([config.n_channels] * (config.l_max + 1), config.n_channels)


def message_map(config: ModelConfig, layer: int) -> int:
    """Multiply-adds of the map that follows a convolution, per atom, one way."""
    targets = [l3 for _, _, l3 in convolution_paths(config.message_lmax(layer), config.l_max)]
    mapped = _mapped(config, layer)
    channels = config.edge_channels(layer)
    return sum(
        (2 * degree + 1) * targets.count(degree) * channels * to for degree, to in enumerate(mapped)
    )


def _mapped(config: ModelConfig, layer: int) -> list[int]:
    """Channels of each degree after that map; gates of the non-linear block are scalars."""
    n_gates = config.l_max if config.block(layer).is_nonlinear else 0
    scalars = config.n_channels * (1 + n_gates)
    return [scalars, *[config.n_channels] * config.l_max]


def _maps(widths: list[int], to: int) -> int:
    """Multiply-adds of an equivariant map from `widths[l]` channels of degree l to `to`."""
    return sum((2 * degree + 1) * width * to for degree, width in enumerate(widths))


def product(config: ModelConfig, layer: int) -> int:
    """Multiply-adds of the kernel's polynomials per atom and channel, forward and adjoint."""
    basis = product_basis(config.l_max, config.output_lmax(layer), config.correlations[layer])
    dim = (config.l_max + 1) ** 2
    polynomials = nested_rows(basis["monomials"], basis["rows"], dim)
    return sum(sum(polynomial_multiply_adds(polynomial)) for polynomial in polynomials)


def readout(config: ModelConfig, layer: int) -> int:
    """Multiply-adds of a readout per atom, one way.

    The last of several layers has hidden scalars for each head.
    """
    n_heads = len(config.heads)
    if layer < config.n_layers - 1 or config.n_layers == 1:
        return config.n_channels * n_heads
    hidden = n_heads * config.readout_width
    middle = hidden * config.readout_width if config.readout == "nonlinear_bias" else 0
    return config.n_channels * hidden + middle + hidden


def floor(count: Count, rate: float) -> float:
    """Seconds per atom that the multiply-adds take at a rate, multiply-adds per second."""
    return count.total / rate
