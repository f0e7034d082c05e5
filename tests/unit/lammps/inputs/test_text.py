"""The text of data files and scripts."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from manifests import manifest
from structures import adsorbate, left_handed, one_atom, slab
from tolerances import Tolerance, assert_close

from mhff_lammps.inputs.content import Content, content_of
from mhff_lammps.inputs.text import data_file, script

CAN = manifest(capabilities={"elements": ("H", "C", "O", "Mg")}).capabilities
UNITS = Tolerance(1e-8, 1e-8)
"""ASE converts LAMMPS' units with constants of another year."""


def content(atoms: Atoms) -> Content:
    return content_of(atoms, CAN, "bulk")


def lines_of(atoms: Atoms, start: str) -> list[str]:
    """Lines of the script that begin with this word, without comments."""
    text = script(content(atoms), "a.cif")
    commands = [line.partition("#")[0].split() for line in text.splitlines()]
    return [" ".join(words) for words in commands if words and words[0] == start]


@pytest.mark.parametrize("build", [adsorbate, left_handed, slab])
def test_ase_reads_the_data_file(build: object, tmp_path: object) -> None:
    atoms = build()  # type: ignore[operator]
    atoms.set_velocities(np.random.default_rng(1).normal(size=(len(atoms), 3)))
    expected = content(atoms)
    file = tmp_path / "a.data"  # type: ignore[operator]
    file.write_text(data_file(expected, "a.cif"))
    read = ase.io.read(file, format="lammps-data", units="metal")
    assert_close(read.get_masses(), atoms.get_masses(), UNITS)
    assert_close(read.get_volume(), np.prod(expected.box.high - expected.box.low), UNITS)
    assert_close(read.positions, expected.positions - expected.box.low, UNITS)
    assert_close(
        np.linalg.norm(read.get_velocities()), np.linalg.norm(atoms.get_velocities()), UNITS
    )


def test_the_script_of_a_slab() -> None:
    assert lines_of(slab(), "boundary") == ["boundary p p m"]
    assert lines_of(slab(), "pair_style") == ["pair_style mliap unified model.mliap 0"]
    assert lines_of(slab(), "pair_coeff") == ["pair_coeff * * Mg@bulk O@bulk C@bulk"]
    assert lines_of(slab(), "timestep") == ["timestep 0.001"]
    assert lines_of(slab(), "fix") == ["fix move all nve"]
    assert lines_of(slab(), "dump_modify") == ["dump_modify trajectory element Mg O C sort id"]


def test_light_atoms_take_short_steps() -> None:
    assert lines_of(Atoms("OH", [[0, 0, 0], [0, 0, 1]]), "timestep") == ["timestep 0.0005"]


def test_velocities_are_made_only_where_there_are_none() -> None:
    assert len(lines_of(slab(), "velocity")) == 1
    moving = slab()
    moving.set_velocities(np.ones((len(moving), 3)))
    assert lines_of(moving, "velocity") == []
    assert "Velocities" in data_file(content(moving), "a")
    assert lines_of(one_atom(), "velocity") == []


def test_frozen_atoms_are_not_integrated() -> None:
    atoms = adsorbate()
    atoms.set_constraint(FixAtoms([0, 1, 2, 5, 65]))
    assert lines_of(atoms, "group") == [
        "group frozen id 1:3 6:6 66:66",
        "group mobile subtract all frozen",
    ]
    assert lines_of(atoms, "fix") == ["fix move mobile nve"]
    assert lines_of(atoms, "velocity")[0].startswith("velocity mobile create")


def test_many_frozen_atoms_take_several_lines() -> None:
    atoms = adsorbate()
    atoms.set_constraint(FixAtoms(range(0, 64, 2)))
    *frozen, _ = lines_of(atoms, "group")
    assert [word for line in frozen for word in line.split()[3:]] == [
        f"{number}:{number}" for number in range(1, 65, 2)
    ]


@pytest.mark.parametrize("source", ['a"""b', "a &", "a\nrun 5", "$x ${y}", "a # b"])
def test_a_name_cannot_steer_lammps(source: str) -> None:
    """LAMMPS looks for quotes and a continuation before it removes comments."""
    for text in (script(content(one_atom()), source), data_file(content(one_atom()), source)):
        first = text.splitlines()[0]
        assert first.endswith((", by mhff lammps-input", "units metal"))
        assert not set('"&$') & set(first)
        assert "run 5" not in text.replace(first, "")
