"""Energies of every head in vectors of LAMMPS."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from lammps_data import Data, Instance
from manifests import manifest

from mhff.mixes import parse_mix
from mhff_lammps.energies import HeadEnergies

UNTOUCHED = -7.0
ENERGIES = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], dtype=torch.float64)
LISTED = torch.tensor([3, 0, 2])
"""The atoms of the rows of `ENERGIES`; atom 1 belongs to another pair style."""


def written(*names: str) -> dict[str, list[float]]:
    """Vectors of these names after a step of a program with the heads bulk and gas, and a mix."""
    able = {"mixes": (parse_mix("soft=0.25*bulk+0.75*gas"),)}
    data = Data(Atoms("O4", cell=[9.0] * 3), [0] * 4)
    vectors = {name: np.full(6, UNTOUCHED) for name in names}
    subject = HeadEnergies(manifest(capabilities=able).capabilities)
    subject.write(Instance(data, vectors), LISTED, ENERGIES, 1.0)
    subject.write(Instance(data, vectors), LISTED[:0], ENERGIES[:0], 1.0)  # as on an empty rank
    return {name: vector.tolist() for name, vector in vectors.items()}


@pytest.mark.parametrize(
    ("name", "first", "third", "fourth"),
    [
        ("d_mhff_bulk", 2.0, 3.0, 1.0),
        ("d_mhff_gas", 20.0, 30.0, 10.0),
        ("d_mhff_soft", 0.25 * 2 + 0.75 * 20, 0.25 * 3 + 0.75 * 30, 0.25 + 7.5),
    ],
)
def test_a_vector_has_the_energies_of_its_head(
    name: str, first: float, third: float, fourth: float
) -> None:
    vectors = written(name)
    assert vectors[name] == [first, UNTOUCHED, third, fourth, UNTOUCHED, UNTOUCHED]


def test_only_vectors_that_exist_are_written() -> None:
    assert written() == {}
    vectors = written("d_mhff_gas", "d_gas", "d_mhff_")
    assert vectors["d_gas"] == vectors["d_mhff_"] == [UNTOUCHED] * 6
    assert vectors["d_mhff_gas"] != [UNTOUCHED] * 6
