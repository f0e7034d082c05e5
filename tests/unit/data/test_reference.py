"""Reference energies: isolated, given, and least squares against values computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from mhff.data.reading import LabelledStructure
from mhff.data.reference import kinds_differ, reference_energies
from mhff.errors import MHFFError
from mhff.heads import E0sKind

WATER = LabelledStructure(Atoms("OH2"), -24.0, place="structure 1")
HYDROGEN = LabelledStructure(Atoms("H2"), -4.0, place="structure 2")
ICE = LabelledStructure(Atoms("O2H4"), -48.0, place="structure 3")
ATOMS = [
    LabelledStructure(Atoms("H"), -1.0, config_type="IsolatedAtom"),
    LabelledStructure(Atoms("O"), -20.0, config_type="IsolatedAtom"),
]


def test_isolated_atoms() -> None:
    reference = reference_energies("isolated", [WATER, *ATOMS], [WATER])
    assert reference.energies == {"H": -1.0, "O": -20.0}
    assert reference.kind is E0sKind.ISOLATED
    assert reference.describe() == ["E0s of isolated atoms, eV: H -1.0000, O -20.0000"]


def test_given_energies_may_be_of_more_elements() -> None:
    given = {"H": -1.5, "O": -21.0, "Mg": -3.0}
    reference = reference_energies(given, [WATER, *ATOMS], [WATER])
    assert reference.energies == given
    assert reference.kind is E0sKind.GIVEN
    with pytest.raises(MHFFError, match=r"no energy for O \(structure 1, .*\), only for H; add it"):
        reference_energies({"H": -1.5}, [WATER], [WATER])


def test_least_squares_by_hand() -> None:
    # E0(H) = -4 / 2 and E0(O) = -24 + 4 fit both exactly
    reference = reference_energies("least_squares", [WATER, HYDROGEN, *ATOMS], [WATER, HYDROGEN])
    assert reference.energies == pytest.approx({"H": -2.0, "O": -20.0}, abs=1e-9)
    assert reference.kind is E0sKind.LEAST_SQUARES
    assert reference.undetermined == ()


def test_least_squares_weigh_every_atom_alike() -> None:
    # two H2: the mean energy per atom, whatever the number of atoms
    large = LabelledStructure(Atoms("H8"), -8.0)
    reference = reference_energies("least_squares", [HYDROGEN, large], [HYDROGEN, large])
    assert reference.energies == pytest.approx({"H": -1.5}, abs=1e-9)


def test_one_composition_leaves_E0s_open() -> None:  # noqa: N802
    reference = reference_energies("least_squares", [WATER, ICE], [WATER, ICE])
    assert reference.undetermined == ("H", "O")
    total = np.dot([2, 1], [reference.energies["H"], reference.energies["O"]])
    assert total == pytest.approx(-24.0, abs=1e-9)
    assert "do not determine the E0s of H, O one by one" in reference.describe()[1]


def test_least_squares_need_energies() -> None:
    without = replace(WATER, energy=None)
    fitted = reference_energies("least_squares", [WATER, ICE], [WATER, ICE])
    assert (
        reference_energies("least_squares", [WATER, ICE, without], [WATER, ICE, without]) == fitted
    )
    with pytest.raises(MHFFError, match="no training structure has an energy"):
        reference_energies("least_squares", [without], [without])


def test_least_squares_see_the_training_structures_alone() -> None:
    with pytest.raises(MHFFError, match=r"with an energy has O \(structure 1 is not one\)"):
        reference_energies("least_squares", [WATER, HYDROGEN], [HYDROGEN])


def test_kinds_that_differ() -> None:
    isolated = reference_energies("isolated", [WATER, *ATOMS], [WATER])
    given = reference_energies({"H": -1.0, "O": -2.0}, [WATER], [WATER])
    assert kinds_differ({"a": isolated.kind, "b": isolated.kind}) == []
    (sentence,) = kinds_differ({"a": isolated.kind, "b": given.kind})
    assert sentence.startswith("E0s of different kinds (a: isolated, b: given): do not compare")
