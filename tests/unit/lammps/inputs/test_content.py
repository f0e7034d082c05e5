"""Atom types, heads, masses, velocities and constraints of a structure."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.constraints import FixAtoms, FixBondLength
from manifests import manifest
from structures import adsorbate, left_handed, no_atoms
from tolerances import ROUNDING, assert_close

from mhff.errors import MHFFError
from mhff.mixes import Mix
from mhff_lammps.inputs.content import content_of

CAN = manifest(capabilities={"elements": ("H", "C", "O", "Mg")}).capabilities
"""Heads bulk and gas."""


def test_a_type_for_each_element() -> None:
    content = content_of(adsorbate(), CAN, "bulk")
    assert [kind.label for kind in content.types] == ["Mg@bulk", "O@bulk", "C@bulk"]
    symbols = [content.types[index].element for index in content.type_of_atom]
    assert symbols == adsorbate().get_chemical_symbols()
    assert content.velocities is None
    assert not content.frozen.any()
    assert content.notes == ()


def test_a_type_for_each_head_and_mass() -> None:
    atoms = Atoms("OHHO", positions=[[0, 0, 0], [0, 0, 1], [0, 1, 0], [3, 0, 0]])
    atoms.set_masses([16, 1.008, 2.014, 16])
    atoms.arrays["mhff_head"] = np.array(["bulk", "bulk", "bulk", "gas"])
    content = content_of(atoms, CAN, "bulk")
    assert [(kind.label, kind.mass) for kind in content.types] == [
        ("O@bulk", 16.0),
        ("H@bulk", 1.008),
        ("H@bulk", 2.014),
        ("O@gas", 16.0),
    ]
    assert content.type_of_atom.tolist() == [0, 1, 2, 3]


def test_the_head_of_the_structure_comes_first() -> None:
    atoms = Atoms("O")
    assert content_of(atoms, CAN, "bulk").types[0].head == "bulk"
    atoms.info["mhff_head"] = "gas"
    assert content_of(atoms, CAN, "bulk").types[0].head == "gas"


def test_a_mix_stands_where_a_head_does() -> None:
    mix = Mix(name="half", weights={"bulk": 0.5, "gas": 0.5})
    mixed = CAN.model_copy(update={"mixes": (mix,)})
    assert content_of(Atoms("O"), mixed, "half").types[0].label == "O@half"


def test_velocities_turn_with_the_box() -> None:
    atoms = left_handed()
    rng = np.random.default_rng(1)
    velocities = rng.normal(size=(len(atoms), 3)) * units.Ang / (1000 * units.fs)  # about 1 A/ps
    atoms.set_velocities(velocities)
    content = content_of(atoms, CAN, "bulk")
    assert content.velocities is not None
    speeds = np.linalg.norm(velocities, axis=1) * 1000 * units.fs
    assert_close(np.linalg.norm(content.velocities, axis=1), speeds, ROUNDING)
    along = (velocities * (atoms.positions[1] - atoms.positions[0])).sum(1) * 1000 * units.fs
    turned = (content.velocities * (content.positions[1] - content.positions[0])).sum(1)
    assert_close(turned, along, ROUNDING)


def test_frozen_atoms_and_other_constraints() -> None:
    atoms = adsorbate()
    atoms.set_constraint([FixAtoms([0, 2]), FixAtoms([3]), FixBondLength(64, 65)])
    content = content_of(atoms, CAN, "bulk")
    assert np.flatnonzero(content.frozen).tolist() == [0, 2, 3]
    (note,) = content.notes
    assert "FixBondLength" in note


def changed(**arrays: object) -> Atoms:
    atoms = adsorbate()
    atoms.info.update(arrays.pop("info", {}))  # type: ignore[call-overload]
    for name, value in arrays.items():
        setattr(atoms, name, value)
    return atoms


def coinciding() -> Atoms:
    atoms = adsorbate()
    atoms.positions[1] = atoms.positions[0]
    return atoms


def massless() -> Atoms:
    atoms = adsorbate()
    masses = atoms.get_masses()
    masses[3] = 0.0
    atoms.set_masses(masses)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "head", "sentence"),
    [
        (no_atoms(), "bulk", "this structure has no atoms"),
        (Atoms("U"), "bulk", "this structure has U, but this model knows only H, C, O, Mg"),
        (adsorbate(), None, "no head given: this model has the heads bulk, gas; choose one with"),
        (changed(info={"mhff_head": "x"}), "bulk", "unknown head 'x'"),
        (changed(info={"mhff_head": {"bulk": 1.0}}), "bulk", "expected a head's name"),
        (changed(cell=[[4, 0, 0], [8, 0, 0], [0, 0, 9]]), "bulk", "independent lattice vectors"),
        (coinciding(), "bulk", "coincide"),
        (massless(), "bulk", "expected positive masses, got 0 amu for atom 3"),
    ],
)
def test_structures_that_cannot_be_run(atoms: Atoms, head: str | None, sentence: str) -> None:
    with pytest.raises(MHFFError, match=sentence) as raised:
        content_of(atoms, CAN, head)
    assert "\n" not in str(raised.value)
