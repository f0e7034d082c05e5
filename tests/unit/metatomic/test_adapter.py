"""The adapter around a program whose energies are known on paper: E_i = sum of c q r^2 of pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from metatensor.torch import Labels
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
)
from metatomic_ase import MetatomicCalculator
from metatomic_systems import differentiable_system
from structures import far_apart, one_atom, rattled_bulk, tiny_cell, triclinic, wire
from tolerances import ROUNDING, assert_close

from mhff.neighbours import neighbour_list
from mhff_metatomic.adapter import Adapter

R_MAX = 4.0
HEADS = {"energy": [0.0, 1.0], "energy/soft": [1.0, 0.0], "energy/stiff": [0.0, 1.0]}
CONSTANTS = {"energy": 3.0, "energy/soft": 1.0, "energy/stiff": 3.0}
"""eV/A^2, the springs of the pairs."""
CHARGE = 2.0
NUMBERS = (1, 6, 7, 8, 12)
STRUCTURES: tuple[Callable[[], Atoms], ...] = (rattled_bulk, tiny_cell, triclinic, wire, far_apart)


class Springs(torch.nn.Module):
    """A program of two heads; a receiver owns an edge's energy, which a charge multiplies."""

    def forward(
        self,
        vectors: torch.Tensor,
        index: torch.Tensor,
        species: torch.Tensor,
        weights: torch.Tensor,
        plan: torch.Tensor,
        state: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        springs = torch.tensor([1.0, 3.0], dtype=torch.float64)
        receiver = index[1]
        squares = (vectors * vectors).sum(1).to(torch.float64) * state[:, 0][receiver]
        energies = torch.zeros(species.size(0), dtype=torch.float64)
        energies = energies.index_add(0, receiver, squares)
        of_edges = (weights @ springs * state[:, 0])[receiver]
        gradients = 2.0 * of_edges.unsqueeze(1) * vectors
        return energies.unsqueeze(1) * springs, gradients.to(vectors.dtype)


def model(dtype: str = "float64") -> AtomisticModel:
    rows = {name: torch.tensor(row, dtype=torch.float64) for name, row in HEADS.items()}
    species = torch.full((119,), -1)
    species[torch.tensor(NUMBERS)] = torch.arange(len(NUMBERS))
    adapter = Adapter(torch.jit.script(Springs()), rows, species, (CHARGE, 1.0), R_MAX)
    capabilities = ModelCapabilities(
        outputs={name: ModelOutput(unit="eV", sample_kind="atom") for name in HEADS},
        atomic_types=[*NUMBERS],
        interaction_range=R_MAX,
        length_unit="angstrom",
        supported_devices=["cpu"],
        dtype=dtype,
    )
    return AtomisticModel(adapter.eval(), ModelMetadata(), capabilities)


def calculator(variant: str | None = None) -> MetatomicCalculator:
    variants = None if variant is None else {"energy": variant}
    return MetatomicCalculator(model(), variants=variants, check_consistency=True)


def expected(atoms: Atoms, constant: float, chosen: np.ndarray) -> tuple[np.ndarray, ...]:
    """Energies of atoms, and forces and virial of the sum over chosen ones."""
    index, vectors = neighbour_list(atoms.positions, atoms.cell[:], atoms.pbc, R_MAX)
    energies = np.zeros(len(atoms))
    np.add.at(energies, index[1], CHARGE * constant * (vectors**2).sum(1))
    gradients = 2.0 * CHARGE * constant * vectors * chosen[index[1]][:, None]
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, index[0], gradients)
    np.subtract.at(forces, index[1], gradients)
    return energies, forces, vectors.T @ gradients


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.__name__)
@pytest.mark.parametrize("variant", [None, "soft", "stiff"])
def test_energies_forces_and_stress(structure: Callable[[], Atoms], variant: str | None) -> None:
    atoms = structure()
    constant = CONSTANTS["energy" if variant is None else f"energy/{variant}"]
    energies, forces, strain_gradient = expected(atoms, constant, np.ones(len(atoms)))
    atoms.calc = calculator(variant)
    assert_close(atoms.get_potential_energy(), energies.sum(), ROUNDING)
    assert_close(atoms.get_forces(), forces, ROUNDING)
    if atoms.pbc.all():
        stress = atoms.get_stress(voigt=False)
        assert_close(stress, strain_gradient / atoms.get_volume(), ROUNDING)


def test_an_atom_alone_has_an_energy_and_no_force() -> None:
    atoms = one_atom()
    atoms.calc = calculator()
    assert atoms.get_potential_energy() == 0.0
    assert not atoms.get_forces().any()


def test_energies_of_atoms_have_the_derivative_of_their_sum() -> None:
    atoms = rattled_bulk()
    energies, forces, _ = expected(atoms, CONSTANTS["energy"], np.ones(len(atoms)))
    calc = calculator()
    calc.calculate(atoms, ["energies", "forces"], ["positions"])
    assert_close(calc.results["energies"], energies, ROUNDING)
    assert_close(calc.results["forces"], forces, ROUNDING)


@pytest.mark.parametrize("rows", [[[1]], [[0], [1]], [[1, 5, 7]]])
def test_no_derivative_of_a_part_of_the_energies_of_atoms_is_believable(
    rows: list[list[int]],
) -> None:
    atoms = rattled_bulk()
    values, positions = with_gradient(atoms, ModelOutput(unit="eV", sample_kind="atom"))
    values[rows[0]].sum().backward()
    gradient = positions.grad
    assert gradient is not None
    assert not gradient.abs().amax() < 1e100


@pytest.mark.parametrize("kind", ["system", "atom"])
def test_selected_atoms(kind: str) -> None:
    atoms = rattled_bulk()
    chosen = np.zeros(len(atoms))
    chosen[[6, 2, 3]] = 1.0
    energies, forces, _ = expected(atoms, CONSTANTS["energy"], chosen)
    selected = Labels(["system", "atom"], torch.tensor([[0, 6], [0, 2], [0, 3]]))
    values, positions = with_gradient(atoms, ModelOutput(unit="eV", sample_kind=kind), selected)
    if kind == "atom":
        assert_close(values.detach(), energies[[6, 2, 3]], ROUNDING)
    values.sum().backward()
    assert_close(values.detach().sum(), energies @ chosen, ROUNDING)
    assert_close(-positions.grad, forces, ROUNDING)


def with_gradient(
    atoms: Atoms, output: ModelOutput, selected: Labels | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The scripted model's energies, and positions that they are functions of."""
    from metatomic.torch import ModelEvaluationOptions
    from metatomic_ase._neighbors import AllNeighborsCalculator

    system, positions = differentiable_system(atoms)
    scripted = torch.jit.script(model())
    lists = AllNeighborsCalculator(scripted.requested_neighbor_lists(), True)
    options = ModelEvaluationOptions("angstrom", {"energy": output}, selected)
    found = scripted(lists.compute([system]), options, True)
    return found["energy"].block().values.squeeze(1), positions


def test_systems_side_by_side() -> None:
    structures = [rattled_bulk(), one_atom(), molecule("H2O")]
    outputs = {name: ModelOutput(unit="eV", sample_kind="system") for name in HEADS}
    found = calculator().run_model(structures, outputs)
    for name, constant in CONSTANTS.items():
        sums = [expected(each, constant, np.ones(len(each)))[0].sum() for each in structures]
        assert_close(found[name].block().values.squeeze(1), sums, ROUNDING)


def test_units_of_the_engine() -> None:
    output = {"energy": ModelOutput(unit="kJ/mol", sample_kind="system")}
    (found,) = calculator().run_model(rattled_bulk(), output)["energy"].block().values
    energies, _, _ = expected(rattled_bulk(), CONSTANTS["energy"], np.ones(8))
    assert float(found) / energies.sum() == pytest.approx(96.485332, rel=1e-7)


def test_atoms_that_coincide_are_named() -> None:
    atoms = molecule("H2O")
    atoms.positions[2] = atoms.positions[0]
    atoms.calc = calculator()
    with pytest.raises(ValueError, match=r"^atoms (0 and 2|2 and 0) \(or periodic images"):
        atoms.get_potential_energy()


def test_an_element_that_the_model_lacks() -> None:
    atoms = Atoms("Si")
    atoms.calc = calculator()
    with pytest.raises(ValueError, match="does not support the atomic type '14'"):
        atoms.get_potential_energy()
