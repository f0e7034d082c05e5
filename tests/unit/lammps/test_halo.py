"""Rows of a graph for LAMMPS' atoms."""

from __future__ import annotations

import numpy as np

from mhff_lammps.halo import NO_ROW, owners_of_images


def test_owners_of_images() -> None:
    tags = np.array([9, 2, 4, 4, 9, 2, 2])
    assert owners_of_images(tags, 3).tolist() == [0, 1, 2, 2, 0, 1, 1]
    assert owners_of_images(np.zeros(0, dtype=int), 0).tolist() == []


def test_atoms_of_other_ranks_have_no_owner_here() -> None:
    assert owners_of_images(np.array([9, 2, 4, 9, 11, 1]), 2).tolist() == [
        0,
        1,
        NO_ROW,
        0,
        NO_ROW,
        NO_ROW,
    ]
    assert owners_of_images(np.array([3, 4]), 0).tolist() == [NO_ROW, NO_ROW]
