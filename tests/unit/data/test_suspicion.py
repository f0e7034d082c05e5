"""Labels that are probably wrong are found; right ones are left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.units import GPa
from labelled import E0S, write_data

from mhff.data.reading import LabelledStructure, read_structures
from mhff.data.suspicion import stress_suspicion, suspicions

HYDROGEN = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]])


@pytest.fixture
def cells(tmp_path: Path) -> list[LabelledStructure]:
    """Cells whose labels are right: forces and stresses are the energies' derivatives."""
    structures = read_structures(write_data(tmp_path, "loose", 40))
    return [item for item in structures if not item.is_isolated_atom]


def scaled(cells: list[LabelledStructure], factor: float) -> list[LabelledStructure]:
    assert all(item.stress is not None for item in cells)
    return [replace(item, stress=factor * item.stress) for item in cells if item.stress is not None]


def test_right_labels_are_not_suspicious(cells: list[LabelledStructure]) -> None:
    assert suspicions(cells, E0S["loose"]) == []
    assert stress_suspicion(cells) is None


def test_absurd_forces_and_energies() -> None:
    forces = np.array([[0, 0, 101.0], [0, 0, 0]])
    fine = LabelledStructure(HYDROGEN, -2.0, np.zeros((2, 3)), place="fine")
    far = LabelledStructure(HYDROGEN, -2.0 - 2 * 21, place="far")
    hard = LabelledStructure(HYDROGEN, -2.0, forces, place="hard")
    found = suspicions([fine, far, hard], {"H": -1.0})
    assert [sentence for _, sentence in found] == [
        "far: energy -21.0 eV/atom from the sum of the E0s",
        "hard: force of 101.0 eV/A on an atom",
    ]


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (-1, "seem to be of the other sign"),
        (1 / GPa, "seem to be in GPa, not eV/A"),
        (-10 / GPa, "seem to be in kbar and of the other sign"),
        (3, "contradict the energies: these change by 0.3"),
    ],
)
def test_wrong_stresses(cells: list[LabelledStructure], factor: float, words: str) -> None:
    sentence = stress_suspicion(scaled(cells, factor))
    assert sentence is not None
    assert words in sentence


def test_few_structures_are_not_judged(cells: list[LabelledStructure]) -> None:
    assert stress_suspicion(scaled(cells[:3], -1)) is None
