"""Hessians are derivatives of the forces, obey the sum rule, and are those of known potentials."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from structures import far_apart, one_atom, slab, tiny_cell, triclinic
from tolerances import ROUNDING, Tolerance, assert_close, assert_close_to_scale

from mhff import MHFFCalculator
from mhff.atoms import graph_from_atoms
from mhff.graph import Graph
from mhff.model.curvature import Curvature
from mhff.modelfile import Model
from mhff.ops.convolution import sum_over_edges

STATE = {"charge": 1, "spin": 2}
"""Read by models that take them."""
HEAD = {"materials": 0.3, "molecules": 0.7}
STEP = 2.5e-4
DIFFERENCES_OF_FORCES = Tolerance(1e-6, 1e-9)
"""Hessians against five-point differences of forces, relative to the largest element."""


def hessian_by_differences(atoms: Atoms) -> np.ndarray:
    """`[3 n, 3 n]` from forces of the atoms' calculator at four displacements of each atom."""
    rows = []
    for coordinate in range(3 * len(atoms)):
        forces = []
        for steps in (1, -1, 2, -2):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[coordinate // 3, coordinate % 3] += steps * STEP
            forces.append(moved.get_forces().flatten())
        rows.append(-(8 * (forces[0] - forces[1]) - (forces[2] - forces[3])) / (12 * STEP))
    return np.array(rows)


@pytest.mark.parametrize("build", [triclinic, tiny_cell, slab])
def test_against_differences_of_forces(model: Model, build) -> None:
    atoms = build()
    atoms.info |= STATE
    atoms.calc = MHFFCalculator(model, head=HEAD, form="eager")
    hessian = atoms.calc.get_hessian(atoms)
    assert np.abs(hessian).max() > 1e-4  # large against the tolerance
    assert_close_to_scale(hessian, hessian_by_differences(atoms), DIFFERENCES_OF_FORCES)
    assert np.array_equal(hessian, hessian.T)


@pytest.mark.parametrize("build", [triclinic, slab])
def test_no_force_on_a_structure_that_moves_as_a_whole(model: Model, build) -> None:
    atoms = build()
    calc = MHFFCalculator(model, head=HEAD, form="eager")
    sums = calc.get_hessian(atoms).reshape(-1, len(atoms), 3).sum(1)
    assert_close(sums, np.zeros_like(sums), ROUNDING)


@pytest.mark.parametrize("build", [far_apart, one_atom])
def test_atoms_without_neighbours(model: Model, build) -> None:
    atoms = build()
    calc = MHFFCalculator(model, head=HEAD, form="eager")
    assert np.array_equal(calc.get_hessian(atoms), np.zeros((3 * len(atoms),) * 2))


class LennardJones:
    """Epsilon = sigma = 1, cut off where the neighbour list ends; stands in for a network."""

    device = torch.device("cpu")
    dtype = torch.float64
    edges_at_once = 1000

    def __call__(self, graph: Graph) -> torch.Tensor:
        """Energies `[n, 1]`; each edge has half of a pair's."""
        r = torch.linalg.vector_norm(graph.edge_vectors, dim=1)
        of_edges = 2 * (r**-12 - r**-6)
        return sum_over_edges(of_edges, graph.edge_index, graph.n_local).unsqueeze(1)


def lennard_jones_hessian(atoms: Atoms, r_max: float) -> np.ndarray:
    """The same potential's, from the formula of pair potentials."""
    graph = graph_from_atoms(atoms, ("Ar",), r_max)
    hessian = np.zeros((len(atoms), 3, len(atoms), 3))
    for vector, i, j in zip(
        graph.edge_vectors.numpy(), *graph.edge_index.flip(0).numpy(), strict=True
    ):
        r = np.linalg.norm(vector)
        along = np.outer(vector, vector) / r**2
        slope = 4 * (-12 * r**-13 + 6 * r**-7)
        curvature = 4 * (156 * r**-14 - 42 * r**-8)
        block = curvature * along + slope / r * (np.eye(3) - along)
        hessian[i, :, j] -= block
        hessian[i, :, i] += block
    return hessian.reshape(3 * len(atoms), -1)


def test_of_a_lennard_jones_crystal() -> None:
    """In a cell smaller than the cutoff, where pairs of an atom with its own images cancel."""
    r_max = 2.5
    atoms = Atoms("Ar3", cell=[2.2, 2.0, 2.1], pbc=True)
    atoms.set_scaled_positions([[0, 0, 0], [0.5, 0.45, 0.1], [0.05, 0.5, 0.55]])
    graph = graph_from_atoms(atoms, ("Ar",), r_max)
    curvature = Curvature(LennardJones(), graph, torch.ones(3, 1, dtype=torch.float64), 9)
    found = curvature.rows(np.arange(3))
    assert_close_to_scale(found, lennard_jones_hessian(atoms, r_max), ROUNDING)
