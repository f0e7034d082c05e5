"""Forces and stress are derivatives of the energy, which is smooth as atoms separate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from ase.stress import voigt_6_to_full_3x3_stress
from differences import derivative
from models import random_model
from structures import close_contacts, slab, tiny_cell, triclinic, water_cluster
from tolerances import FINITE_DIFFERENCES, ROUNDING, assert_close

from mhff import MHFFCalculator
from mhff.atoms import graph_from_atoms
from mhff.evaluator import EagerEvaluator
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.modelfile import Model

HEAD = "molecules"


def calculator(model: Model) -> MHFFCalculator:
    return MHFFCalculator(model, head=HEAD, form="eager")


@pytest.mark.parametrize("build", [triclinic, tiny_cell, slab, water_cluster, close_contacts])
def test_forces(model: Model, build) -> None:
    atoms = build()
    atoms.calc = calculator(model)
    direction = np.random.default_rng(11).normal(size=atoms.positions.shape)
    forces, start = atoms.get_forces(), atoms.positions.copy()

    def energy(step: float, where: np.ndarray = direction) -> float:
        atoms.positions = start + step * where
        return atoms.get_potential_energy()

    assert np.abs(forces).max() > 1e-4  # large against the tolerance
    assert_close((forces * direction).sum(), -derivative(energy), FINITE_DIFFERENCES)
    for axis in range(3):
        one = np.zeros_like(start)
        one[1, axis] = 1.0
        assert_close(
            forces[1, axis],
            -derivative(lambda step, one=one: energy(step, one)),
            FINITE_DIFFERENCES,
        )


@pytest.mark.parametrize("build", [triclinic, tiny_cell])
def test_stress(model: Model, build) -> None:
    atoms = build()
    atoms.calc = calculator(model)
    stress = voigt_6_to_full_3x3_stress(atoms.get_stress())
    cell, volume = atoms.cell[:].copy(), atoms.get_volume()
    for i, j in [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]:
        strain = np.zeros((3, 3))
        strain[i, j] += 0.5
        strain[j, i] += 0.5

        def energy(step: float, strain: np.ndarray = strain) -> float:
            atoms.set_cell(cell, scale_atoms=True)
            atoms.set_cell(cell @ (np.eye(3) + step * strain), scale_atoms=True)
            return atoms.get_potential_energy()

        assert_close(stress[i, j] * volume, derivative(energy), FINITE_DIFFERENCES)
    assert np.abs(stress * volume).max() > 1e-3


def test_nothing_jumps_where_an_atom_crosses_the_cutoff(model: Model) -> None:
    def at(distance: float) -> tuple[float, np.ndarray]:
        atoms = Atoms("OHMg", positions=[[0, 0, 0], [0.2, 1.1, 0], [0, 0, -distance]])
        atoms.positions[2, 1] = (
            0.6  # outside the reach of the hydrogen too, unless it is the one that crosses
        )
        atoms.calc = calculator(model)
        return atoms.get_potential_energy(), atoms.get_forces()

    crossing = (
        model.r_max**2 - 0.6**2
    ) ** 0.5  # the distance of oxygen and magnesium is r_max here
    inside, outside = at(crossing - 1e-4), at(crossing + 1e-4)
    deep = at(0.8 * crossing)
    assert abs(deep[0] - outside[0]) > 1e-6
    assert abs(inside[0] - outside[0]) < 1e-6
    assert np.abs(inside[1] - outside[1]).max() < 1e-5


def test_energy_and_forces_vanish_like_the_envelope(model: Model) -> None:
    """Near r_max, a dimer's force falls at least quadratically.

    The envelope ends with zero value, slope and curvature.
    """

    def force(gap: float) -> float:
        atoms = Atoms("OMg", positions=[[0, 0, 0], [0, 0, model.r_max - gap]])
        atoms.calc = calculator(model)
        return float(np.abs(atoms.get_forces()).max())

    near, far = force(1e-3), force(1e-2)
    assert far > 0
    assert near < far / 50


def test_edges_that_are_not_shorter_than_the_cutoff_do_not_count(model: Model) -> None:
    """Engines hand over lists with a skin; the model's own envelope has to end them."""
    atoms = triclinic()
    weights = torch.eye(3, dtype=torch.float64)[1].expand(len(atoms), -1)
    exact, skin = (
        graph_from_atoms(atoms, model.elements, r) for r in (model.r_max, model.r_max + 1.5)
    )
    assert skin.edge_index.shape[1] > exact.edge_index.shape[1]
    network = random_double(model)
    results = [energies_and_edge_gradients(network, g, weights) for g in (exact, skin)]
    assert_close(results[1][0], results[0][0], ROUNDING)
    beyond = torch.linalg.vector_norm(skin.edge_vectors, dim=1) >= model.r_max
    assert results[1][1][beyond].abs().max() == 0


def test_gradient_of_a_force_loss(model: Model) -> None:
    """Training differentiates forces with respect to weights."""
    network = random_double(model).requires_grad_(True)
    graph = graph_from_atoms(water_cluster(), model.elements, model.r_max)
    weights = torch.eye(3, dtype=torch.float64)[0].expand(graph.n_local, -1)
    parameters = [
        network.layers[0].interaction.linear_up.weights[0],
        network.layers[-1].product.weights,
    ]

    def loss() -> torch.Tensor:
        energies, gradients = energies_and_edge_gradients(network, graph, weights, training=True)
        return gradients.square().sum() + energies[:, 0].mean()

    for parameter, gradient in zip(
        parameters, torch.autograd.grad(loss(), parameters), strict=True
    ):
        direction = torch.randn(
            parameter.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64
        )
        start = parameter.detach().clone()

        def moved(step: float, parameter=parameter, start=start, direction=direction) -> float:
            with torch.no_grad():
                parameter.copy_(start + step * direction)
            return float(loss().detach())

        assert_close((gradient * direction).sum(), derivative(moved, 1e-4), FINITE_DIFFERENCES)
        moved(0.0)


def random_double(model: Model):
    """The model's network in float64, a copy."""
    return EagerEvaluator(model).network


@pytest.mark.parametrize("name", ["mh1", "mp"])
def test_nve_conserves_energy(name: str) -> None:
    atoms = close_contacts()
    atoms.positions *= 1.6
    atoms.calc = calculator(random_model(name))
    start = atoms.get_total_energy()
    dynamics = VelocityVerlet(atoms, timestep=0.05 * units.fs)
    kinetic, total = [], []
    for _ in range(60):
        dynamics.run(1)
        kinetic.append(atoms.get_kinetic_energy())
        total.append(atoms.get_total_energy() - start)
    assert max(kinetic) > 1e-4
    assert np.abs(total).max() < 1e-3 * max(kinetic)
