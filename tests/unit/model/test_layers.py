"""Primitive layers against plain products and torch's modules: weights rely on every factor."""

from __future__ import annotations

import pytest
import torch
from models import random_network
from tolerances import SAME_NUMBERS, assert_close
from torch import nn

from mhff.graph import make_graph
from mhff.model.constants import MOMENTS
from mhff.model.layers import (
    Activation,
    ElementEmbedding,
    ElementLinear,
    PackedLinear,
    PairNetwork,
    RadialNetwork,
    pack_degrees,
    split_degrees,
)

SILU_MOMENT = MOMENTS["silu"]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def randoms(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(), dtype=torch.float64)


@pytest.mark.parametrize("function", ["silu", "sigmoid", "tanh", "abs"])
def test_activations_keep_the_second_moment_of_normal_numbers(function: str) -> None:
    z = torch.randn(1_000_000, generator=generator(), dtype=torch.float64)
    activation = Activation(function, torch.tensor(MOMENTS[function], dtype=torch.float64))
    assert_close(activation(z).square().mean(), 1, SAME_NUMBERS._replace(absolute=0.01))


def test_packed_linear() -> None:
    layer = PackedLinear([3, 2], [4, 5], generator()).double().requires_grad_(False)
    x = [randoms(2, 1, 3), randoms(2, 3, 2)]
    for found, values, weight in zip(layer(x), x, layer.weights, strict=True):
        assert_close(
            found, torch.einsum("nmu,uw->nmw", values, weight) / len(weight) ** 0.5, SAME_NUMBERS
        )


def test_element_linear() -> None:
    layer = ElementLinear(3, [4], [2], generator()).double().requires_grad_(False)
    x, species = randoms(5, 1, 4), torch.tensor([2, 0, 1, 1, 2])
    expected = (
        torch.stack([x[i] @ layer.weights[0][z] for i, z in enumerate(species)]) / (3 * 4) ** 0.5
    )
    assert_close(layer([x], species)[0], expected, SAME_NUMBERS)
    assert layer([x[:0]], species[:0])[0].shape == (0, 1, 2), "a rank may have no atoms"


def test_element_embedding() -> None:
    layer = ElementEmbedding(randoms(3, 4)).requires_grad_(False)
    assert_close(layer(torch.tensor([1, 1])), layer.weight[[1, 1]] / 3**0.5, SAME_NUMBERS)


def test_radial_network() -> None:
    constants = {"activation.silu": torch.tensor(SILU_MOMENT, dtype=torch.float64)}
    layer = RadialNetwork([3, 4, 2], constants, generator()).double().requires_grad_(False)
    x = randoms(6, 3)
    hidden = x @ layer.weights[0] / 3**0.5
    hidden = SILU_MOMENT * hidden * torch.sigmoid(hidden)
    assert_close(layer(x), hidden @ layer.weights[1] / 4**0.5, SAME_NUMBERS)


def test_pair_network() -> None:
    """The elements' share of the first layer is computed per element: one ordinary network."""
    layer = PairNetwork(3, 2, [5, 4, 6], generator()).double().requires_grad_(False)
    plain = nn.Sequential(
        nn.Linear(7, 5), nn.LayerNorm(5), nn.SiLU(),
        nn.Linear(5, 4), nn.LayerNorm(4), nn.SiLU(),
        nn.Linear(4, 6),
    ).double().requires_grad_(False)  # fmt: skip
    for index, (weight, bias) in enumerate(zip(layer.weights, layer.biases, strict=True)):
        plain[3 * index].weight.copy_(weight)
        plain[3 * index].bias.copy_(bias)
    for index, norm in enumerate(layer.norms):
        norm.weight.copy_(1 + 0.3 * randoms(len(norm.weight)))
        norm.bias.copy_(0.3 * randoms(len(norm.bias)))
        plain[3 * index + 1].load_state_dict(norm.state_dict())
    radial, source, target = randoms(8, 3), randoms(4, 2), 1 + randoms(4, 2)
    sender, receiver = (
        torch.tensor([0, 1, 2, 3, 3, 2, 1, 0]),
        torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]),
    )
    found = layer(radial, source, target, sender, receiver)
    assert_close(
        found, plain(torch.cat([radial, source[sender], target[receiver]], 1)), SAME_NUMBERS
    )


def test_packing() -> None:
    packed = randoms(2, 9, 3)
    degrees = split_degrees(packed)
    assert [degree.shape[1] for degree in degrees] == [1, 3, 5]
    assert torch.equal(pack_degrees(degrees), packed)


def test_pair_repulsion_is_scaled_by_each_head() -> None:
    """As mace-torch does: energy = E0 + scale (repulsion + readouts) + shift."""
    network = random_network().double().requires_grad_(False)
    vectors = torch.tensor([[0, 0, 1.0], [0, 0, -1.0], [0, 1.1, 0]], dtype=torch.float64)
    edge_index, species = torch.tensor([[1, 0, 2], [0, 1, 0]]), torch.tensor([3, 4, 1])
    graph = make_graph(vectors, edge_index, species)
    energies = network(graph)
    assert network.pair_repulsion is not None
    of_edge = network.pair_repulsion(
        vectors.norm(dim=1), species[edge_index[0]], species[edge_index[1]]
    )
    network.pair_repulsion = None
    difference = energies - network(graph)
    of_atom = torch.stack([of_edge[0] + of_edge[2], of_edge[1], torch.zeros_like(of_edge[0])])
    assert of_edge.min() > 1e-3
    assert_close(
        difference,
        of_atom[:, None] * network.reference_energies.scale,
        SAME_NUMBERS._replace(absolute=1e-11),
    )
