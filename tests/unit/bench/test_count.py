"""Multiply-adds, against the weights of networks and against counts by hand."""

from __future__ import annotations

import pytest
from models import CONFIGS, random_model
from torch import nn

from mhff.model.acceleration import contraction_shape
from mhff.model.config import ModelConfig
from mhff.model.layers import ElementLinear, PackedLinear
from mhff.model.mace import MACE
from mhff.ops.cpu.polynomial_code import polynomial_code
from mhff_bench.count import (
    Count,
    convolution,
    floor,
    linear_maps,
    multiply_adds,
    product,
    readout,
)

MP = ModelConfig(
    elements=("H", "C", "N", "O", "Mg"),
    heads=("a", "b", "c"),
    n_channels=128,
    n_edge_channels=None,
    interaction="residual",
    agnostic_product=False,
    n_radial=8,
    distance_transform="none",
    apply_cutoff=True,
    zbl=False,
)


def of_weights(module: nn.Module) -> int:
    """Multiply-adds per atom of all linear maps in a module, one per weight and component m."""
    packed = [part for part in module.modules() if isinstance(part, PackedLinear)]
    total = sum(
        (2 * degree + 1) * weight.numel()
        for part in packed
        for degree, weight in enumerate(part.weights)
    )
    for part in module.modules():
        if isinstance(part, ElementLinear):  # an atom uses the matrix of its own element
            total += sum((2 * l + 1) * weight[0].numel() for l, weight in enumerate(part.weights))
    return total


@pytest.mark.parametrize("name", CONFIGS)
def test_linear_maps_use_each_weight_once_for_each_component(name: str) -> None:
    network = random_model(name).network
    for index, layer in enumerate(network.layers):
        expected = of_weights(layer.interaction) + of_weights(layer.product)
        if index == 0 and not network.config.state_embeddings:  # these see the element only
            constant = ("linear_up", "linear_res", "skip")
            expected -= sum(
                of_weights(getattr(layer.interaction, part, None) or nn.Identity())
                for part in constant
            )
        assert linear_maps(network.config, index) == expected


@pytest.mark.parametrize("name", CONFIGS)
def test_readouts_use_each_weight_once(name: str) -> None:
    network = random_model(name).network
    for index, layer in enumerate(network.layers):
        if layer.readout is not None:
            weights = [
                value for key, value in layer.readout.named_parameters() if "bias" not in key
            ]
            assert readout(network.config, index) == sum(weight.numel() for weight in weights)


def test_a_convolution_by_hand() -> None:
    """Ten paths, features of degree 0 and 1: 76 couplings, 22 products R h."""
    forward = 10 * 6 + 22 + 76
    adjoint = 10 * (6 + 6 + 1) + 3 * 22 + 2 * 76
    assert convolution(MP, 1) == forward + adjoint


def test_the_first_convolution_by_hand() -> None:
    """Four paths to 16 components; the features are in the radial functions."""
    assert convolution(MP, 0) == (4 * 6 + 16) + (4 * (6 + 6 + 1) + 2 * 16)


@pytest.mark.parametrize("layer", [0, 1])
def test_products_are_those_of_the_kernel(layer: int) -> None:
    """Each product of the generated code is one multiply-add per channel."""
    code = "".join(polynomial_code(contraction_shape(MACE(MP), layer)))
    assert product(MP, layer) == code.count(" * ")


def test_a_product_has_more_outputs_where_its_layer_is_not_the_last() -> None:
    assert product(MP, 0) > 3 * product(MP, 1) > 0


def test_the_whole_model_is_the_sum_of_its_layers() -> None:
    """Linear maps and readouts count twice: the adjoint costs as much. Its channels are 128."""
    count = multiply_adds(MP, 86)
    assert count.convolutions == 86 * 128 * (convolution(MP, 0) + convolution(MP, 1))
    assert count.linear_maps == 2 * (linear_maps(MP, 0) + linear_maps(MP, 1))
    assert count.products == 128 * (product(MP, 0) + product(MP, 1))
    assert count.readouts == 2 * (readout(MP, 0) + readout(MP, 1))
    assert count.total == count.convolutions + count.linear_maps + count.products + count.readouts


def test_only_convolutions_grow_with_neighbours() -> None:
    few, many = multiply_adds(MP, 10), multiply_adds(MP, 30)
    assert many.convolutions == 3 * few.convolutions
    assert (many.linear_maps, many.products, many.readouts) == (
        few.linear_maps,
        few.products,
        few.readouts,
    )


def test_all_heads_cost_little_more_than_one() -> None:
    one = multiply_adds(MP.model_copy(update={"heads": ("a",)}), 86)
    assert 1.0 < multiply_adds(MP, 86).total / one.total < 1.01


def test_the_floor_is_count_over_rate() -> None:
    assert floor(Count(6.0, 2.0, 1.0, 1.0), 2e9) == 5e-9
