"""The error of tables is measured with the program that takes them, in either precision."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from lowered import exact_network

from mhff.graph import Graph
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.mace import MACE
from mhff_deploy.lowering.accuracy import atomic_forces
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.choice import (
    CLOSE,
    ChosenTables,
    InexactTablesError,
    choose_tables,
    force_errors,
    next_trial,
    take_samples,
)
from mhff_deploy.radial.inputs import TableInputs
from mhff_deploy.radial.networks import (
    RadialNetworks,
    RadialTables,
    radial_networks,
    tabulate_elements,
    tabulate_radial,
)


class Lowered:
    """A lowered network in plain torch that takes tables as a program does."""

    def __init__(self, network: MACE, dtype: torch.dtype) -> None:
        self.network = network
        self.dtype = dtype
        self.trials: list[int] = []
        self.sizes: list[int] = []

    def pack(self, tables: RadialTables) -> TableInputs:
        self.trials.append(tables.spline.n_intervals)
        return cast(TableInputs, tables)

    def gradients(
        self, graph: Graph, head_weights: torch.Tensor, tables: TableInputs
    ) -> torch.Tensor:
        self.sizes.append(graph.n_local)
        lowered = LoweredNetwork(self.network, cast(RadialTables, tables)).to(self.dtype)
        known = graph.to("cpu", self.dtype)
        return energies_and_edge_gradients(lowered, known, head_weights)[1]


def chosen(network: MACE, table_error: float, dtype: torch.dtype = torch.float64) -> ChosenTables:
    every = range(len(network.config.elements))
    program = Lowered(network, dtype)
    return choose_tables(RadialNetworks(network), program, every, table_error)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["mp", "mh1"])
def test_the_error_is_that_against_the_exact_network(name: str, dtype: torch.dtype) -> None:
    """A program in float32 rounds forces by more than the error that its tables may make."""
    network = exact_network(name, elements=("C", "O"))
    found = chosen(network, 1e-6, dtype)
    lowered = LoweredNetwork(network, found.tables)
    exact = 0.0
    for sample in take_samples(network.config, [0, 1]):
        of_tables, right = (
            atomic_forces(each, sample.graph, sample.head_weights) for each in (lowered, network)
        )
        exact = max(exact, float(force_errors(of_tables, right, sample.graph).max()))
    assert 0 < exact < 0.5e-6
    assert found.error == pytest.approx(exact, rel=0.1, abs=2e-9)


def test_the_first_trial_is_as_asked_and_finer_ones_follow() -> None:
    network = exact_network("mp", elements=("O",))
    program = Lowered(network, torch.float64)
    found = choose_tables(RadialNetworks(network), program, [0], 1e-6, n_intervals=32)
    trials = [fine // 2 for fine in program.trials]
    assert trials[0] == 32
    assert found.tables.spline.n_intervals in trials[1:]
    assert found.tables.spline.n_intervals > 32


def test_close_structures_are_those_of_the_sample() -> None:
    network = exact_network("mh1", elements=("C", "O"))
    (sample,) = take_samples(network.config, [0, 1])
    close, everything = sample.stages()
    assert everything is sample
    graph = sample.graph
    of_edges = graph.structure_of_edge[graph.edge_vectors.norm(dim=1) < CLOSE]
    kept = of_edges.unique()
    assert len(of_edges) == close.graph.edge_vectors.shape[0]
    assert 10 < len(kept) == close.graph.n_structures < graph.n_structures / 2
    found, right = (atomic_forces(network, x.graph, x.head_weights) for x in (close, sample))
    torch.testing.assert_close(found, right[torch.isin(graph.structure, kept)])
    torch.testing.assert_close(close.shares, sample.shares[kept])


def test_tables_that_fail_where_atoms_are_close_are_tried_on_nothing_else() -> None:
    network = exact_network("mp", elements=("O",))
    program = Lowered(network, torch.float64)
    found = choose_tables(RadialNetworks(network), program, [0], 1e-6, n_intervals=32)
    (sample,) = take_samples(network.config, [0])
    few, all_of_them = (stage.graph.n_local for stage in sample.stages())
    assert few < all_of_them / 2
    stages = [(few, few, all_of_them, all_of_them), (few, few)]
    trials = [stages[fine // 2 < found.tables.spline.n_intervals] for fine in program.trials[::2]]
    assert program.sizes == [size for trial in trials for size in trial]
    assert program.sizes[:3] == [few, few, few]


def test_tables_that_are_too_fine_are_made_coarser() -> None:
    """A program for all elements begins where the tables of others ended."""
    network = exact_network("mp", elements=("O",))
    networks = RadialNetworks(network)
    program = Lowered(network, torch.float64)
    coarse = choose_tables(networks, program, [0], 1e-6).tables.spline.n_intervals
    fine = choose_tables(networks, program, [0], 1e-6, n_intervals=1024)
    assert fine.error < 0.5e-6
    assert coarse <= fine.tables.spline.n_intervals < 2 * coarse


def test_tables_of_some_elements_are_those_of_all() -> None:
    network = exact_network("mh1")
    some = tabulate_elements(RadialNetworks(network), 32, [1, 3])
    every = tabulate_radial(network, 32)
    for few, all_of_them in zip(some.weights, every.weights, strict=True):
        assert few.coefficients.shape[0] == 4
        for sender in (1, 3):
            for receiver in (1, 3):
                found = few.coefficients[some.table_of[sender, receiver]]
                right = all_of_them.coefficients[every.table_of[sender, receiver]]
                torch.testing.assert_close(found, right)


@pytest.mark.parametrize("name", ["mp", "mh1", "density"])
def test_networks_travel_as_data(name: str) -> None:
    network = exact_network(name)
    own = RadialNetworks(network)
    sent = radial_networks(own.to_bytes(), "a test")
    r = torch.linspace(0.5, 4.0, 50, dtype=torch.float64)
    ends = torch.stack([torch.arange(50) % 5, torch.arange(50) % 3])
    for found, right in zip(sent(r, ends).weights, own(r, ends).weights, strict=True):
        torch.testing.assert_close(found, right, rtol=0, atol=0)


def test_an_error_that_no_table_keeps_is_refused() -> None:
    sentence = "no table of up to 4096 intervals keeps the forces on atoms to 1e-20 eV/A"
    with pytest.raises(InexactTablesError, match=sentence):
        chosen(exact_network("mp", elements=("O",)), 1e-20)


@pytest.mark.parametrize("excess", [float("nan"), float("inf"), 1e9])
def test_wild_errors_make_tables_four_times_as_fine(excess: float) -> None:
    assert next_trial(64, excess) == 288
