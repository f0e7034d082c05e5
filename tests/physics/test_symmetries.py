"""Energies are invariant under translation, rotation, reflection and renumbering of atoms.

Forces and stress rotate with the structure.
"""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.stress import voigt_6_to_full_3x3_stress
from scipy.spatial.transform import Rotation
from structures import far_apart, rattled_bulk, slab, tiny_cell, triclinic, water_cluster
from tolerances import ROUNDING, assert_close

from mhff import MHFFCalculator
from mhff.modelfile import Model

HEAD = "surfaces"
PERIODIC = [triclinic, slab]


def results(model: Model, atoms: Atoms, head: str = HEAD) -> dict[str, object]:
    calculator = MHFFCalculator(model, head=head, form="eager")
    calculator.calculate(atoms, ["energy", "forces"])
    return calculator.results


def transformed(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    """The structure and its cell with every vector multiplied by an orthogonal matrix."""
    new = atoms.copy()
    new.set_cell(atoms.cell[:] @ matrix.T)
    new.positions = atoms.positions @ matrix.T
    return new


@pytest.mark.parametrize("build", [triclinic, slab, water_cluster])
@pytest.mark.parametrize("sign", [1, -1], ids=["rotation", "rotoreflection"])
def test_rotation_and_reflection(model: Model, build, sign: int) -> None:
    matrix = sign * Rotation.random(rng=np.random.default_rng(3)).as_matrix()
    before, after = results(model, build()), results(model, transformed(build(), matrix))
    assert np.abs(before["forces"]).max() > 1e-3
    assert_close(after["energies"], before["energies"], ROUNDING)
    assert_close(after["forces"], before["forces"] @ matrix.T, ROUNDING)
    if "stress" in before:
        stress = matrix @ voigt_6_to_full_3x3_stress(before["stress"]) @ matrix.T
        assert_close(voigt_6_to_full_3x3_stress(after["stress"]), stress, ROUNDING)


@pytest.mark.parametrize("build", [triclinic, slab, water_cluster])
def test_translation(model: Model, build) -> None:
    moved = build()
    moved.translate([1.3, -7.7, 0.4])
    before, after = results(model, build()), results(model, moved)
    assert_close(after["energies"], before["energies"], ROUNDING)
    assert_close(after["forces"], before["forces"], ROUNDING)


@pytest.mark.parametrize("build", PERIODIC)
def test_periodic_images_are_equal(model: Model, build) -> None:
    atoms = build()
    moved = build()
    moved.positions[0] += 2 * atoms.cell[0] - atoms.cell[1]
    before, after = results(model, atoms), results(model, moved)
    assert_close(after["energies"], before["energies"], ROUNDING)
    assert_close(after["forces"], before["forces"], ROUNDING)


def test_permutation(model: Model) -> None:
    atoms = water_cluster()
    order = np.random.default_rng(5).permutation(len(atoms))
    before, after = results(model, atoms), results(model, atoms[order])
    assert_close(after["energies"], before["energies"][order], ROUNDING)
    assert_close(after["forces"], before["forces"][order], ROUNDING)


def test_another_cell_of_the_same_crystal(model: Model) -> None:
    atoms, other = tiny_cell(), tiny_cell()
    other.set_cell(
        [atoms.cell[0], atoms.cell[1] + atoms.cell[0], atoms.cell[2] - 2 * atoms.cell[0]]
    )
    before, after = results(model, atoms), results(model, other)
    assert_close(after["forces"], before["forces"], ROUNDING)
    assert_close(after["energies"], before["energies"], ROUNDING)
    assert_close(after["stress"], before["stress"], ROUNDING)


def test_supercell(model: Model) -> None:
    atoms = tiny_cell()
    n = np.array([[2, 0, 0], [1, 1, 0], [0, 0, 2]])
    before, after = (
        results(model, atoms),
        results(model, make_supercell(atoms, n, order="cell-major")),
    )
    assert_close(after["energies"], np.tile(before["energies"], 4), ROUNDING)
    assert_close(after["forces"], np.tile(before["forces"], (4, 1)), ROUNDING)
    assert_close(after["stress"], before["stress"], ROUNDING)


def test_far_apart_copies_add(model: Model) -> None:
    atoms = water_cluster()
    both = atoms.copy()
    copy = atoms.copy()
    copy.translate([50, 0, 0])
    both += copy
    before, after = results(model, atoms), results(model, both)
    assert_close(after["energy"], 2 * before["energy"], ROUNDING)
    assert_close(after["forces"], np.tile(before["forces"], (2, 1)), ROUNDING)


def test_atoms_without_neighbours(model: Model) -> None:
    gas = far_apart()
    together = results(model, gas)
    alone = [results(model, gas[[i]])["energy"] for i in range(len(gas))]
    assert_close(together["energies"], alone, ROUNDING)
    assert np.array_equal(together["forces"], np.zeros((len(gas), 3)))


def test_energies_per_atom_sum_to_the_energy(model: Model) -> None:
    found = results(model, rattled_bulk())
    assert_close(found["energies"].sum(), found["energy"], ROUNDING)
    assert found["free_energy"] == found["energy"]


def test_forces_sum_to_zero(model: Model) -> None:
    found = results(model, rattled_bulk())
    assert np.abs(found["forces"]).max() > 1e-3
    assert_close(found["forces"].sum(0), np.zeros(3), ROUNDING)
