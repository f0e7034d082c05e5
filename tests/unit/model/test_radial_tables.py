"""Radial functions from tables in training: as exact as float32, and only where they pay."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from models import CONFIGS, random_network
from structures import magnesia
from tolerances import Tolerance, assert_close_to_scale

from mhff.atoms import graph_from_atoms
from mhff.files import kernel_folder
from mhff.graph import Graph
from mhff.model.acceleration import LOOK_UP, training_shapes
from mhff.model.convolution import RadialInputs
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.mace import MACE
from mhff.model.radial_tables import MAX_ERROR, R_MIN, RadialTables, TabulatedInputs
from mhff.ops.cpu.build import build
from mhff.ops.cpu.library import load
from mhff.ops.cpu.look_up import KernelLookUp
from mhff.ops.shapes import LookUpShape

OF_TABLES = Tolerance(2e-6, 1e-12)
"""Losses and gradients with tables in float64, relative to the largest value of each."""
BLOCKS = ("mh1", "mp", "plain", "density")
R_MAX = 4.0


@cache
def operators(dtype: torch.dtype) -> Any:
    shapes = {"look_up": LookUpShape(dtype)}
    return load(*build(shapes, dtype, kernel_folder()), shapes)


def with_tables(name: str, dtype: torch.dtype = torch.float64) -> MACE:
    """A small network whose radial functions come from tables."""
    network = random_network(**(CONFIGS[name] | {"r_max": R_MAX})).to(dtype)
    network.embed_radial = RadialTables(
        network.radial_basis,
        len(network.config.elements),
        network.config.radial_of_pairs,
        lambda spline: KernelLookUp(operators(dtype), "look_up", spline),
    )
    return network


def n_sites(network: MACE) -> int:
    tables = network.embed_radial
    return tables.fit.n_sites if isinstance(tables, RadialTables) else 0


def many_edges(network: MACE) -> Graph:
    """A displaced crystal of two elements, with more edges than sites for each pair of elements."""
    graph = graph_from_atoms(magnesia(), network.config.elements, R_MAX)
    graph = graph.to("cpu", network.dtype)
    assert graph.edge_index.shape[1] > 4 * n_sites(network)
    return graph


def loss_and_gradients(network: MACE) -> dict[str, torch.Tensor]:
    """A loss of energies and forces, and its gradient by every weight."""
    graph = many_edges(network)
    weights = torch.full((graph.n_local, 3), 0.4, dtype=torch.float64)
    energies, gradients = energies_and_edge_gradients(network, graph, weights, training=True)
    loss = energies.mean() + gradients.square().sum()
    loss.backward()
    found = {name: x.grad for name, x in network.named_parameters() if x.grad is not None}
    return found | {"loss": loss.detach()}


@pytest.mark.parametrize("name", BLOCKS)
def test_losses_and_gradients_are_those_of_the_networks(name: str) -> None:
    network = with_tables(name)
    found = loss_and_gradients(network)
    plain = with_tables(name)
    plain.embed_radial = plain.radial_inputs
    expected = loss_and_gradients(plain)
    assert found.keys() == expected.keys()
    differs = False
    for key, value in expected.items():
        assert_close_to_scale(found[key], value, OF_TABLES)
        differs = differs or not torch.equal(found[key], value)
    assert differs, "expected values from tables"


def embedded(network: MACE, r: torch.Tensor) -> Any:
    """Radial inputs of edges between the first two elements."""
    species = torch.stack([torch.zeros_like(r), torch.ones_like(r)]).to(torch.int64)
    return network.embed_radial(r, species)


def distances(n: int) -> torch.Tensor:
    return torch.linspace(1.0, R_MAX, n, dtype=torch.float64)


@pytest.mark.parametrize("name", ["mh1", "mp"])
def test_tables_are_made_where_they_pay(name: str) -> None:
    network = with_tables(name)
    fewest = n_sites(network) + 1
    assert isinstance(embedded(network, distances(fewest)), TabulatedInputs)
    assert isinstance(embedded(network, distances(fewest - 1)), RadialInputs)
    assert isinstance(embedded(network, distances(0)), RadialInputs)


def test_edges_shorter_than_the_tables_do_without() -> None:
    network = with_tables("mp")
    r = distances(n_sites(network) + 1)
    r[3] = R_MIN / 2
    assert isinstance(embedded(network, r), RadialInputs)


def test_functions_that_splines_do_not_follow_are_evaluated_on_the_edges() -> None:
    network = with_tables("mp")
    r = distances(n_sites(network) + 1)
    radial = embedded(network, r)

    def smooth(inputs: RadialInputs) -> torch.Tensor:
        return inputs.envelope

    def jumping(inputs: RadialInputs) -> torch.Tensor:
        return (inputs.envelope > 0.5).to(torch.float64)

    on_edges = network.radial_inputs(r, radial.species)
    assert torch.equal(radial.evaluate(jumping), jumping(on_edges))
    assert not torch.equal(radial.evaluate(smooth), smooth(on_edges))
    assert_close_to_scale(radial.evaluate(smooth), smooth(on_edges), Tolerance(MAX_ERROR, 0))


def test_linear_maps_are_applied_to_coefficients() -> None:
    network = with_tables("mp")
    sites = n_sites(network)
    radial = embedded(network, distances(sites + 1))
    seen = []

    def several(inputs: RadialInputs) -> torch.Tensor:
        seen.append(inputs.envelope.shape[0])
        return torch.cat([inputs.envelope, inputs.envelope**2], dim=1)

    last = torch.tensor([[1.0, 2.0, 0.0], [0.5, -1.0, 3.0]], dtype=torch.float64)
    expected = several(network.radial_inputs(distances(sites + 1), radial.species)) @ last
    assert_close_to_scale(radial.evaluate(several, last), expected, Tolerance(MAX_ERROR, 0))
    assert seen == [sites + 1, sites], "expected values at the sites, and none on the edges"


def test_training_in_double_precision_has_no_tables() -> None:
    network = random_network(**(CONFIGS["mp"] | {"n_channels": 8, "n_edge_channels": 8}))
    assert LOOK_UP in training_shapes(network)
    assert LOOK_UP not in training_shapes(network.double())
