"""Keys of structures: what must not change them, and what must."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from mhff.atoms import graph_from_atoms
from mhff.data.identity import environment_key, same_environments
from mhff.graph import Graph

ELEMENTS = ("H", "C", "O", "Mg")
R_MAX = 4.0
WRITTEN = 1e-8
"""Rounding of positions in a file, A."""


def key(atoms: Atoms, state: tuple[float, float] | None = None) -> int:
    return environment_key(graph_from_atoms(atoms, ELEMENTS, R_MAX, state))


def crystal() -> Atoms:
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=2)
    return atoms


def permuted(atoms: Atoms) -> Atoms:
    return atoms[np.random.default_rng(0).permutation(len(atoms))]


def moved(atoms: Atoms) -> Atoms:
    atoms.positions += [1.3, -20.0, 0.7]
    return atoms


def wrapped(atoms: Atoms) -> Atoms:
    atoms.positions += [0.5, 0.5, 0.5]
    atoms.wrap()
    return atoms


def turned(atoms: Atoms) -> Atoms:
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    return atoms


def reflected(atoms: Atoms) -> Atoms:
    atoms.positions[:, 0] *= -1
    atoms.set_cell(atoms.cell[:] * [-1, 1, 1])
    return atoms


def written(atoms: Atoms) -> Atoms:
    atoms.positions = atoms.positions.round(8)
    return atoms


@pytest.mark.parametrize("make", [crystal, ethanol])
@pytest.mark.parametrize("change", [permuted, moved, wrapped, turned, reflected, written])
def test_the_same_structure(make, change) -> None:  # type: ignore[no-untyped-def]
    assert key(change(make())) == key(make())


def test_another_choice_of_lattice_vectors() -> None:
    atoms = crystal()
    atoms.set_cell([atoms.cell[0] + atoms.cell[1], atoms.cell[1], atoms.cell[2] - atoms.cell[0]])
    assert key(atoms) == key(crystal())


@pytest.mark.parametrize("make", [crystal, ethanol])
def test_other_structures(make) -> None:  # type: ignore[no-untyped-def]
    keys = {key(make())}
    for distance in (0.01, 0.1):
        atoms = make()
        atoms.positions[3, 1] += distance
        keys.add(key(atoms))
    exchanged = make()
    exchanged.numbers[[0, -1]] = exchanged.numbers[[-1, 0]]
    keys.add(key(exchanged))
    assert len(keys) == 4
    assert key(make(), (1.0, 2.0)) != key(make(), (0.0, 1.0))


def test_small_displacements_in_an_ideal_crystal() -> None:
    """Sums over distances are the same to second order: such structures counted as duplicates."""
    keys = set()
    for seed in range(20):
        atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True)
        atoms.rattle(0.01, seed=seed)
        keys.add(key(atoms))
    assert len(keys) == 20


@pytest.mark.parametrize("a", [4.2, 4.25, 4.212, 4.0])
def test_ideal_crystals(a: float) -> None:
    atoms = bulk("MgO", "rocksalt", a=a, cubic=True)
    for change in (permuted, moved, wrapped, turned):
        assert key(change(atoms.copy())) == key(atoms)


def test_similar_molecules_are_not_the_same() -> None:
    """Diatomic molecules with one key, whose only distance lies in one bin."""

    def hydrogen(distance: float) -> Graph:
        atoms = Atoms("H2", [[0, 0, 0], [0, 0, distance]])
        return graph_from_atoms(atoms, ELEMENTS, R_MAX, None)

    first, near, other = (hydrogen(distance) for distance in (0.7400, 0.7401, 0.7410))
    assert environment_key(first) == environment_key(near) == environment_key(other)
    assert same_environments(first, near)
    assert not same_environments(first, other)


def test_single_atoms_of_two_elements() -> None:
    assert len({key(Atoms(symbol)) for symbol in ELEMENTS}) == len(ELEMENTS)
