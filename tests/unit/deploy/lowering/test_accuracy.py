"""Tables keep the error of forces on atoms: at all distances, and in dense crystals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from lowered import exact_network

from mhff import load
from mhff.atoms import graph_from_atoms
from mhff.graph import Graph
from mhff.model.mace import MACE
from mhff_deploy.lowering.accuracy import atomic_forces, choose_tables
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.lowering.pruning import pruned
from mhff_deploy.radial.choice import InexactTablesError, force_errors, take_samples
from mhff_deploy.radial.networks import tabulate_radial
from mhff_deploy.radial.structures import dimers, distances


def error_of(network: MACE, lowered: LoweredNetwork, graph: Graph) -> float:
    weights = torch.ones(graph.n_local, len(network.config.heads), dtype=torch.float64)
    right = atomic_forces(network, graph, weights)
    return float(force_errors(atomic_forces(lowered, graph, weights), right, graph).max())


def diamond(spacing: float, seed: int) -> Atoms:
    """A rattled crystal as dense as diamond or denser, of two elements."""
    atoms = bulk("C", "diamond", a=4 * spacing / 3**0.5, cubic=True) * (2, 1, 1)
    atoms.symbols[::3] = "O"
    atoms.rattle(0.1, seed=seed)
    return atoms


@pytest.mark.slow
@pytest.mark.parametrize("r_max", [6.0, 9.0])
@pytest.mark.parametrize("name", ["mp", "density", "high_l_residual"])
def test_forces_on_atoms_hold_in_dense_crystals(name: str, r_max: float) -> None:
    """The error of one edge adds up over hundreds of neighbours."""
    network = exact_network(name, r_max=r_max, elements=("C", "O"))
    for table_error in (1e-6, 1e-9):
        lowered = LoweredNetwork(network, choose_tables(network, table_error).tables)
        for seed, spacing in enumerate((1.54, 1.45, 1.8)):
            graph = graph_from_atoms(diamond(spacing, seed), ("C", "O"), r_max)
            assert error_of(network, lowered, graph) < table_error


@pytest.mark.parametrize("n_species", [2, 6])
def test_the_samples_have_a_dense_crystal_and_close_dimers(n_species: int) -> None:
    config = exact_network("mp", elements=("H", "C", "N", "O", "Mg", "Ni")[:n_species]).config
    samples = list(take_samples(config, range(n_species)))
    assert len(samples) == (1 if n_species == 2 else 7)
    graph = samples[0].graph
    _, neighbours = graph.edge_index[1].unique(return_counts=True)
    density_of_diamond = 8 / 3.567**3
    in_diamond = density_of_diamond * 4 / 3 * np.pi * config.r_max**3
    assert float(neighbours.max()) > 0.95 * in_diamond
    pairs = {
        tuple(pair)
        for sample in samples
        for pair in sample.graph.species[sample.graph.edge_index].T.tolist()
    }
    assert len(pairs) == n_species**2
    closest = min(float(sample.graph.edge_vectors.norm(dim=1).min()) for sample in samples)
    assert closest == pytest.approx(float(distances(config.r_max)[1]))
    assert closest < 0.1


def test_below_0_4_angstrom_tables_are_the_model() -> None:
    """They used to keep the radial functions constant there: wrong by keV at 0.3 A, and a jump."""
    network = pruned(load("mini"), ["C"])
    lowered = LoweredNetwork(network, choose_tables(network, 1e-6).tables)
    r = torch.tensor([1e-3, 0.02, 0.1, 0.2, 0.3, 0.4 - 1e-9, 0.4 + 1e-9], dtype=torch.float64)
    graph = dimers(torch.zeros(len(r), 2, dtype=torch.int64), r)
    assert error_of(network, lowered, graph) < 1e-6
    head = network.config.heads.index("molecules")
    expected = network(graph).detach()[:, head]
    assert torch.allclose(lowered(graph)[:, head], expected, rtol=1e-6)
    assert float((expected - expected[-1]).abs().max()) > 1000, "expected a steep function"
    weights = torch.ones(graph.n_local, len(network.config.heads), dtype=torch.float64)
    pulls = atomic_forces(lowered, graph, weights).norm(dim=1).unflatten(0, (-1, 2))[:, 0]
    assert float(pulls[5]) == pytest.approx(float(pulls[6]), rel=1e-6)


def test_coarser_tables_are_worse() -> None:
    """The error that is measured is that of the tables, and it falls fast."""
    network = exact_network("mp")
    (sample,) = take_samples(network.config, range(len(network.config.elements)))
    errors = []
    for n_intervals in (32, 64, 128):
        lowered = LoweredNetwork(network, tabulate_radial(network, n_intervals))
        errors.append(error_of(network, lowered, sample.graph))
    assert errors[0] > 8 * errors[1] > 64 * errors[2] > 0


def test_an_error_that_no_table_keeps_is_refused() -> None:
    sentence = "no table of up to 4096 intervals keeps the forces on atoms to 1e-20 eV/A"
    with pytest.raises(InexactTablesError, match=sentence):
        choose_tables(exact_network("mp", elements=("O",)), 1e-20)
