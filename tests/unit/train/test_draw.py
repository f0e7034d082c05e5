"""Structures drawn at random and by the spread of their descriptors."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mhff.data.reading import LabelledStructure
from mhff.train.draw import at_random, farthest, farthest_points, with_elements

LINE = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]])
STRUCTURES = [LabelledStructure(Atoms("H"), energy=float(number)) for number in range(5)]


def test_farthest_points() -> None:
    """The first is nearest to the mean, 4.4; then 10, 0, and 9 or 1 from what is left."""
    assert farthest_points(LINE, 3) == [2, 4, 0]
    assert sorted(farthest_points(LINE, 5)) == [0, 1, 2, 3, 4]


def test_points_that_coincide_are_drawn_once() -> None:
    assert sorted(farthest_points(np.zeros((4, 2)), 4)) == [0, 1, 2, 3]


def test_farthest_structures_keep_their_order() -> None:
    drawn = farthest(STRUCTURES, 3, lambda _: LINE)
    assert [item.energy for item in drawn] == [0.0, 2.0, 4.0]
    assert farthest(STRUCTURES, 9, lambda _: LINE) == STRUCTURES


def test_random_structures_depend_on_the_seed_alone() -> None:
    energies = [[item.energy for item in at_random(STRUCTURES, 3, seed)] for seed in (0, 0, 1)]
    assert energies[0] == energies[1] != energies[2]
    assert energies[0] == sorted(energies[0])
    assert at_random(STRUCTURES, None, 0) == STRUCTURES


def test_elements() -> None:
    structures = [LabelledStructure(Atoms(symbols)) for symbols in ("OH2", "MgO", "O2")]
    assert with_elements(structures, ["H", "O"]) == [structures[0], structures[2]]
