"""E0s, shift, scale and elements against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from mhff.data.reading import LabelledStructure
from mhff.data.statistics import (
    check_E0s,
    elements_of,
    energy_shift,
    force_scale,
    isolated_energies,
)
from mhff.errors import MHFFError

WATER = LabelledStructure(
    Atoms("OH2", positions=[[0, 0, 0], [0, 0, 1], [0, 1, 0]]), -31.0, forces=np.full((3, 3), 2.0)
)
HYDROGEN = LabelledStructure(
    Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]]), -4.0, forces=np.full((2, 3), -1.0)
)
ATOM = LabelledStructure(Atoms("H"), -1.0, config_type="IsolatedAtom")
OXYGEN_ATOM = LabelledStructure(Atoms("O"), -20.0, config_type="IsolatedAtom")


def test_E0s_come_from_isolated_atoms() -> None:  # noqa: N802
    assert isolated_energies([WATER, ATOM, HYDROGEN, OXYGEN_ATOM]) == {"H": -1.0, "O": -20.0}


def test_two_isolated_atoms_that_disagree() -> None:
    other = LabelledStructure(Atoms("H"), -1.5, config_type="IsolatedAtom")
    with pytest.raises(
        MHFFError, match=r"two isolated H atoms have the energies -1.0 and -1.5 eV; keep one"
    ):
        isolated_energies([ATOM, other])


def test_an_element_without_isolated_atom() -> None:
    with pytest.raises(
        MHFFError,
        match=r"with O \(the structure, for example\) but reference energies only for H",
    ):
        check_E0s({"H": -1.0}, [ATOM, WATER])


def test_shift_and_scale_by_hand() -> None:
    E0s = {"H": -1.0, "O": -20.0}
    # water: (-31 + 22) / 3 = -3; hydrogen: (-4 + 2) / 2 = -1
    assert energy_shift([WATER, HYDROGEN], E0s) == -2.0
    # 9 components of 2 and 6 of -1
    assert force_scale([WATER, HYDROGEN]) == pytest.approx(((9 * 4 + 6) / 15) ** 0.5, rel=1e-15)
    assert force_scale([LabelledStructure(Atoms("H2"), 0.0)]) == 1.0


def test_elements_leave_out_isolated_atoms() -> None:
    assert elements_of(
        [WATER, OXYGEN_ATOM, LabelledStructure(Atoms("Mg"), 0.0, config_type="IsolatedAtom")]
    ) == ("H", "O")
