"""Groups of structures: in order, none too large, none left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from ase import Atoms
from structures import magnesia, slab, water_cluster, waters

from mhff.atoms import geometry
from mhff.many.filling import GIGABYTE, estimated_pairs, filled
from mhff.neighbours import neighbour_list

R_MAX = 5.0
WITHIN = 3.0
"""Factor by which estimates may be wrong."""


@dataclass(frozen=True)
class Sized:
    n_atoms: int
    n_pairs: float = 0.0


def bytes_of(n_atoms: int, n_pairs: float) -> float:
    return (10 * n_atoms + n_pairs) * 1e6


def test_groups_are_filled_up_to_the_bound() -> None:
    items = [Sized(n) for n in (5, 5, 5, 30, 1, 1, 19, 20, 0)]
    groups = list(filled(items, bytes_of, 200e6 / GIGABYTE, 1000))
    assert [[item.n_atoms for item in group] for group in groups] == [
        [5, 5, 5],
        [30],  # larger than the bound: alone
        [1, 1],
        [19],
        [20, 0],
    ]


def test_pairs_count_too() -> None:
    groups = list(filled([Sized(1, 100.0)] * 4, bytes_of, 250e6 / GIGABYTE, 1000))
    assert [len(group) for group in groups] == [2, 2]


def test_atoms_are_limited_whatever_the_memory() -> None:
    groups = list(filled([Sized(30)] * 10, bytes_of, 1e9, 100))
    assert [len(group) for group in groups] == [3, 3, 3, 1]
    assert list(filled([], bytes_of, 1.0, 100)) == []


@pytest.mark.parametrize("atoms", [magnesia(), slab(), water_cluster(), waters(60)])
def test_estimates_are_near_the_truth(atoms: Atoms) -> None:
    estimate = estimated_pairs(*geometry(atoms), R_MAX)
    exact = neighbour_list(*geometry(atoms), R_MAX)[0].shape[1]
    assert exact / WITHIN < estimate < exact * WITHIN


def test_an_estimate_of_nonsense_is_no_obstacle() -> None:
    positions = np.full((100, 3), np.nan)
    assert estimated_pairs(positions, np.zeros((3, 3)), np.zeros(3, dtype=bool), R_MAX) == 0
