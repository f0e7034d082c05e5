"""Labelled structures from files: labels, keys, and one sentence for everything that is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labelled import labelled_frame
from structures import rattled_bulk

from mhff.data.frames import open_frames
from mhff.data.keys import Keys, KeySetting
from mhff.data.reading import (
    LabelledStructure,
    check_found,
    label_frames,
    read_structures,
)
from mhff.errors import MHFFError

SETTING = KeySetting("heads.a.keys.{}", "null")
WRITTEN_DIGITS = 1e-8
"""Extended XYZ holds eight decimals."""
ASE_LABELS = Keys(energy="energy", forces="forces", stress="stress")


def save(path: Path, *frames: Atoms) -> Path:
    write(path, list(frames), format="extxyz")
    return path


def molecule(**info: Any) -> Atoms:
    return Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]], info={"REF_energy": -1.0, **info})


def test_labels_are_read(tmp_path: Path) -> None:
    frame = labelled_frame(
        rattled_bulk(), head="materials", config_type="MgO", stress=np.arange(6.0)
    )
    (structure,) = read_structures(save(tmp_path / "a.xyz", frame))
    assert structure.energy == frame.info["REF_energy"]
    assert structure.head == "materials"
    assert structure.config_type == "MgO"
    assert structure.atoms.calc is None
    assert set(structure.atoms.arrays) == {"numbers", "positions"}
    np.testing.assert_allclose(structure.forces, frame.arrays["REF_forces"], atol=WRITTEN_DIGITS)
    assert structure.stress.tolist() == [[0, 5, 4], [5, 1, 3], [4, 3, 2]]
    assert structure.place == f"structure 1 of '{tmp_path / 'a.xyz'}'"


def test_optional_labels_may_be_missing(tmp_path: Path) -> None:
    (structure,) = read_structures(save(tmp_path / "a.xyz", molecule()))
    assert (structure.forces, structure.stress, structure.head) == (None, None, None)
    assert structure.found == {"energy"}


def test_own_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(
        '1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-2.5 level="own"\nH 0 0 0 0.1 0.2 '
        "0.3\n"
    )
    (structure,) = read_structures(path, Keys(energy="energy", forces="forces", head="level"))
    assert structure.energy == -2.5
    assert structure.forces.tolist() == [[0.1, 0.2, 0.3]]
    assert structure.head == "own"


@pytest.mark.parametrize("name", ["a.traj", "a.db", "a.json", "a.xyz", "at@1.xyz"])
def test_what_ase_writes(tmp_path: Path, name: str) -> None:
    atoms = rattled_bulk()
    forces, stress = np.random.default_rng(0).normal(size=(len(atoms), 3)), np.arange(6.0)
    atoms.calc = SinglePointCalculator(atoms, energy=-3.5, forces=forces, stress=stress)
    write(tmp_path / name, atoms, format="extxyz" if name.endswith("xyz") else None)
    (structure,) = read_structures(tmp_path / name, ASE_LABELS)
    assert structure.energy == -3.5
    np.testing.assert_allclose(structure.forces, forces, atol=WRITTEN_DIGITS)
    assert structure.stress.tolist() == [[0, 5, 4], [5, 1, 3], [4, 3, 2]]


def test_labels_that_a_database_keeps_apart(tmp_path: Path) -> None:
    from ase.db import connect

    with connect(tmp_path / "a.db") as database:
        database.write(Atoms("OH"), REF_energy=-7.0, total_charge=-1)
    (structure,) = read_structures(tmp_path / "a.db")
    assert structure.energy == -7.0
    assert structure.atoms.info == {"charge": -1.0}


@pytest.mark.parametrize("shape", [(6,), (9,), (3, 3)])
def test_virials_are_the_stress_of_the_whole_cell(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Stress = -virials / volume, as in mace-torch."""
    atoms, stress = rattled_bulk(), np.array([[1.0, 5, 4], [5, 2, 3], [4, 3, 6]])
    virials = -atoms.get_volume() * stress
    if shape == (6,):
        virials = virials[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    frame = labelled_frame(atoms, REF_virials=virials.reshape(shape))
    (structure,) = read_structures(save(tmp_path / "a.xyz", frame))
    np.testing.assert_allclose(structure.stress, stress, rtol=1e-12)
    (ignored,) = read_structures(tmp_path / "a.xyz", Keys(stress=None))
    assert ignored.stress is None, "null for the stress means the virials, too"
    (read,) = read_structures(tmp_path / "a.xyz", Keys(stress=None, virials="REF_virials"))
    assert read.stress is not None


def test_stress_and_virials_must_agree(tmp_path: Path) -> None:
    atoms, stress = rattled_bulk(), np.eye(3)
    virials = -atoms.get_volume() * stress
    frames = [
        labelled_frame(atoms, stress=stress.ravel(), REF_virials=(sign * virials).ravel())
        for sign in (1, -1)
    ]
    (structure,) = read_structures(save(tmp_path / "a.xyz", frames[0]))
    np.testing.assert_allclose(structure.stress, stress)
    with pytest.raises(MHFFError, match=r"structure 2 of .* a stress and virials that disagree"):
        read_structures(save(tmp_path / "a.xyz", *frames))


@pytest.mark.parametrize(("charge", "spin"), [("charge", "spin"), ("total_charge", "total_spin")])
def test_both_spellings_of_the_state(tmp_path: Path, charge: str, spin: str) -> None:
    path = save(tmp_path / "a.xyz", molecule(**{charge: -1, spin: 2}))
    (structure,) = read_structures(path)
    assert structure.atoms.info == {"charge": -1.0, "spin": 2.0}
    assert structure.found == {"energy", "charge", "spin"}
    (ignored,) = read_structures(path, Keys(charge=None, spin=None))
    assert ignored.atoms.info == {}


def test_a_key_of_the_state(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xyz", molecule(q=1, multiplicity=3))
    (structure,) = read_structures(path, Keys(charge="q", spin=["mult", "multiplicity"]))
    assert structure.atoms.info == {"charge": 1.0, "spin": 3.0}
    (unread,) = read_structures(path)
    assert unread.atoms.info == {}
    assert unread.unread == ("multiplicity",)


@pytest.mark.parametrize(
    ("frame", "keys", "sentence"),
    [
        (
            Atoms("H", info={"dft_energy": -1.0, "config_type": "x"}),
            Keys(),
            r"no energy under 'REF_energy' in structure 1 of .*, which has dft_energy; set "
            r"heads\.a\.keys\.energy to its name, or to null to go without$",
        ),
        (
            molecule(REF_energy="minus one"),
            Keys(),
            "expected numbers under 'REF_energy' in structure 1 of .*, got 'minus one'",
        ),
        (
            molecule(REF_stress=np.zeros(6)),
            Keys(),
            "structure 1 of .* has a stress or virials but no cell of three lattice vectors",
        ),
        (
            molecule(REF_virials=np.zeros((3, 3))),
            Keys(),
            "structure 1 of .* has a stress or virials but no cell of three lattice vectors",
        ),
        (
            molecule(charge=1, total_charge=-1),
            Keys(),
            r"different numbers under 'charge' and 'total_charge'; remove one, or "
            r"set heads\.a\.keys\.charge to the right one",
        ),
        (molecule(total_spin="doublet"), Keys(), "numbers under 'total_spin' in structure 1 of"),
        (Atoms(info={"REF_energy": 0.0}), Keys(), "structure 1 of .* has no atoms; remove it"),
        (
            Atoms("XH", [[0, 0, 0], [0, 0, 1]], info={"REF_energy": 0.0}),
            Keys(),
            "structure 1 of .* has atoms without an element",
        ),
    ],
)
def test_mistakes_name_the_structure(
    tmp_path: Path, frame: Atoms, keys: Keys, sentence: str
) -> None:
    path = tmp_path / "a.traj"  # extended XYZ has no words for some of these
    write(path, frame)
    with pytest.raises(MHFFError, match=sentence):
        read_structures(path, keys, SETTING)


def plain_forces(frame: Atoms) -> Atoms:
    """The frame with its forces under ASE's name."""
    frame.arrays["forces"] = frame.arrays.pop("REF_forces")
    return frame


@pytest.mark.parametrize(
    ("make", "keys", "sentence"),
    [
        (
            lambda: plain_forces(labelled_frame(rattled_bulk())),
            Keys(),
            r"no forces under 'REF_forces' in structure 1 of .*, which has forces; set "
            r"heads\.a\.keys\.forces to its name, or to null to go without",
        ),
        (
            lambda: labelled_frame(rattled_bulk()),
            Keys(forces="REF_froces"),
            "no forces under 'REF_froces' in structure 1 of .*, which has REF_forces; ",
        ),
        (
            lambda: labelled_frame(rattled_bulk(), dft_stress=np.zeros(6)),
            Keys(),
            "no stress under 'REF_stress' in structure 1 of .*, which has dft_stress; ",
        ),
        (
            lambda: labelled_frame(rattled_bulk(), virial=np.zeros(9)),
            Keys(),
            "no virials under 'REF_virials' in structure 1 of .*, which has virial; ",
        ),
    ],
)
def test_labels_under_another_name_are_refused(
    tmp_path: Path, make: Callable[[], Atoms], keys: Keys, sentence: str
) -> None:
    path = save(tmp_path / "a.xyz", make())
    with pytest.raises(MHFFError, match=sentence):
        read_structures(path, keys, SETTING)
    (structure,) = read_structures(path, Keys(forces=None, stress=None), SETTING)
    assert (structure.forces, structure.stress) == (None, None)


def test_the_key_of_the_energy_alone_is_not_enough(tmp_path: Path) -> None:
    """`keys: {energy: energy}` with plain forces in the file trained on energies alone."""
    atoms = rattled_bulk()
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=np.ones((len(atoms), 3)))
    path = save(tmp_path / "a.xyz", atoms)
    with pytest.raises(MHFFError, match=r"no forces under 'REF_forces' .*, which has forces; set"):
        read_structures(path, Keys(energy="energy"), SETTING)
    (structure,) = read_structures(path, Keys(energy="energy", forces="forces"), SETTING)
    assert structure.forces.tolist() == np.ones((len(atoms), 3)).tolist()


PLAIN = (
    "2\nProperties=species:S:1:pos:R:3:{prefix}forces:R:3 {prefix}energy=-1.5 "
    '{prefix}stress="1 2 3 2 4 5 3 5 6" Lattice="5 0 0 0 5 0 0 0 5" pbc="T T T"\n'
    "H 0 0 0 1 2 3\nO 1 0 0 -1 -2 -3\n"
    '2\nProperties=species:S:1:pos:R:3 Lattice="5 0 0 0 5 0 0 0 5" {prefix}energy=-2.5\n'
    "H 0 0 0\nO 1 0 0\n"
    "2\nProperties=species:S:1:pos:R:3:{prefix}forces:R:3\nH 0 0 0 1 2 3\nO 1 0 0 -1 -2 -3\n"
)
"""Frames with all labels, the energy alone, and forces alone."""


@pytest.mark.parametrize("prefix", ["", "REF_", "dft_"])
def test_any_prefix_gives_the_same(tmp_path: Path, prefix: str) -> None:
    """ASE moves energy, forces and stress without a prefix to a calculator."""
    path = tmp_path / "a.xyz"
    path.write_text(PLAIN.format(prefix=prefix))
    names = {label: f"{prefix}{label}" for label in ("energy", "forces", "stress")}
    found = read_structures(path, Keys(**names), SETTING)
    assert [item.energy for item in found] == [-1.5, -2.5, None]
    forces = [[1, 2, 3], [-1, -2, -3]]
    assert [None if f is None else f.tolist() for f in (item.forces for item in found)] == [
        forces,
        None,
        forces,
    ]
    assert found[0].stress.tolist() == [[1, 2, 3], [2, 4, 5], [3, 5, 6]]
    assert [item.has_stress for item in found] == [True, False, False]


@pytest.mark.parametrize("prefix", ["", "dft_"])
def test_default_names_do_not_fit_other_files(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(PLAIN.format(prefix=prefix))
    with pytest.raises(
        MHFFError,
        match=rf"no energy under 'REF_energy' in structure 1 of .*, which has {prefix}energy.*; "
        r"set heads\.a\.keys\.energy to its name",
    ):
        read_structures(path, setting=SETTING)


@pytest.mark.parametrize("name", ["virials", "virial", "dft_virial"])
def test_virials_under_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.xyz"
    lattice = 'Lattice="2 0 0 0 2 0 0 0 2"'
    path.write_text(
        f'1\n{lattice} energy=1 {name}="8 0 0 0 16 0 0 0 24"\nH 0 0 0\n'
        f"1\n{lattice} energy=1\nH 0 0 0\n"
    )
    keys = Keys(energy="energy", forces=None, virials=name)
    first, second = read_structures(path, keys, SETTING)
    np.testing.assert_allclose(first.stress, np.diag([-1.0, -2, -3]), rtol=1e-14)
    assert second.stress is None


def test_forces_are_those_of_the_file_in_spite_of_constraints(tmp_path: Path) -> None:
    """ASE's get_forces is zero for fixed atoms, as those in the slabs of OC20."""
    atoms = rattled_bulk()
    forces = np.ones((len(atoms), 3))
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=forces)
    atoms.set_constraint(FixAtoms([0, 1]))
    for name in ("a.traj", "a.db"):
        write(tmp_path / name, atoms)
        (structure,) = read_structures(tmp_path / name, ASE_LABELS, SETTING)
        np.testing.assert_array_equal(structure.forces, forces, name)


def test_numbers_of_other_shapes_are_not_mistaken_for_labels(tmp_path: Path) -> None:
    frame = molecule(max_force=0.1, stress_is_converged=True, force_field="none")
    frame.info |= {"forces": [[1.0], [2.0, 3.0]], 7: "an entry without a name"}
    write(tmp_path / "a.traj", frame)
    (structure,) = read_structures(tmp_path / "a.traj")
    assert structure.forces is None


def test_isolated_atoms_need_no_forces(tmp_path: Path) -> None:
    frame = plain_forces(labelled_frame(Atoms("H"), config_type="IsolatedAtom"))
    (structure,) = read_structures(save(tmp_path / "a.xyz", frame))
    assert structure.is_isolated_atom


def test_labels_that_no_structure_has() -> None:
    bare = [LabelledStructure(Atoms("H2"), -1.0) for _ in range(2)]
    labelled = LabelledStructure(Atoms("H2"), -1.0, found=frozenset({"forces"}))
    check_found([*bare, labelled], ["forces"], Keys(), SETTING)
    check_found(bare, ["forces", "charge"], Keys(forces=None, charge=None), SETTING)
    with pytest.raises(
        MHFFError,
        match=r"none of the 2 structures has forces under 'REF_forces'; set "
        r"heads\.a\.keys\.forces to its name, or to null to go without",
    ):
        check_found(bare, ["forces"], Keys(), SETTING)
    with pytest.raises(MHFFError, match="has charge under 'charge' or 'total_charge'"):
        check_found(bare, ["charge"], Keys(), SETTING)


def test_text_of_a_file_cannot_steer_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text('1\nREF_energy=1 config_type="\x1b[2Jbulk" head="a\x07" spin\x1b=1\nH 0 0 0\n')
    (structure,) = read_structures(path)
    texts = (structure.config_type, structure.head, *structure.unread)
    assert texts == ("\\x1b[2Jbulk", "a\\x07", "spin\\x1b")


def test_missing_file() -> None:
    with pytest.raises(MHFFError, match=r"no file 'nowhere\.xyz'"):
        read_structures("nowhere.xyz")


@pytest.mark.parametrize("content", [b"", b"not a structure\n", b"2\nREF_energy=1\nH 0 0 0\n"])
@pytest.mark.parametrize("name", ["a.xyz", "a.traj", "a.db", "a.json", "a.aselmdb"])
def test_empty_and_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    if name == "a.aselmdb":
        pytest.importorskip("ase_db_backends")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MHFFError, match=r"holds no structures|cannot read structures") as caught:
        read_structures(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_truncated_trajectory(tmp_path: Path) -> None:
    path = tmp_path / "a.traj"
    write(path, [rattled_bulk(), rattled_bulk()])
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(MHFFError, match="cannot read structures from"):
        read_structures(path)


def test_wrong_shape(tmp_path: Path) -> None:
    frame = labelled_frame(rattled_bulk())
    frame.arrays["forces_x"] = np.zeros(8)
    path = save(tmp_path / "a.xyz", frame)
    with pytest.raises(
        MHFFError,
        match=r"expected the shape \[8, 3\] under 'forces_x' in structure 1 .*, got \[8\]",
    ):
        read_structures(path, Keys(forces="forces_x"))


def test_labels_can_be_ignored(tmp_path: Path) -> None:
    frame = labelled_frame(rattled_bulk(), head="materials", stress=np.zeros(6))
    path = save(tmp_path / "a.xyz", frame)
    (structure,) = read_structures(path, Keys(forces=None, stress=None, head=None))
    assert (structure.forces, structure.stress, structure.head) == (None, None, None)


def test_all_that_is_not_finite_is_listed(tmp_path: Path) -> None:
    frames = [labelled_frame(rattled_bulk(), stress=np.zeros(6)) for _ in range(5)]
    frames[1].arrays["REF_forces"][3, 1] = np.nan
    frames[2].info["REF_energy"] = -np.inf
    frames[3].info["REF_stress"] = np.full(6, np.nan)
    frames[4].positions[0, 0] = np.nan
    frames[4].cell[0, 0] = np.inf
    path = save(tmp_path / "a.xyz", *frames)
    structures = label_frames(open_frames(path), Keys(), SETTING, path)
    assert [item.not_finite for item in structures] == [
        (),
        ("REF_forces",),
        ("REF_energy",),
        ("REF_stress",),
        ("positions", "the cell"),
    ]
    with pytest.raises(
        MHFFError, match="4 structures have NaN or infinity: structure 2 of"
    ) as all_:
        read_structures(path)
    assert [f"structure {number} of" in str(all_.value) for number in range(1, 6)] == [
        False,
        *[True] * 4,
    ]


def test_every_label_may_be_missing(tmp_path: Path) -> None:
    """Structures without an energy were refused."""
    forces_only, stress_only = labelled_frame(rattled_bulk()), rattled_bulk()
    del forces_only.info["REF_energy"]
    stress_only.info["REF_stress"] = np.arange(6.0)
    bare = rattled_bulk()
    path = save(tmp_path / "a.xyz", forces_only, stress_only, bare)
    found = read_structures(path)
    assert [item.energy for item in found] == [None] * 3
    assert [item.forces is not None for item in found] == [True, False, False]
    assert [item.stress is not None for item in found] == [False, True, False]
    assert [item.is_labelled for item in found] == [True, True, False]


def test_energies_can_be_ignored(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xyz", labelled_frame(rattled_bulk()))
    (structure,) = read_structures(path, Keys(energy=None))
    assert structure.energy is None
    assert structure.forces is not None


numbers = st.floats(-1e4, 1e4)


@settings(deadline=None)
@given(
    forces=st.integers(1, 4).flatmap(lambda n: arrays(float, (n, 3), elements=numbers)),
    stress=arrays(float, 6, elements=numbers),
    energy=numbers,
    charge=st.integers(-3, 3),
)
def test_extended_xyz_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    forces: np.ndarray,
    stress: np.ndarray,
    energy: float,
    charge: int,
) -> None:
    places = np.arange(3.0 * len(forces)).reshape(-1, 3)
    info = {"REF_energy": energy, "REF_stress": stress, "total_charge": charge}
    frame = Atoms(f"C{len(forces)}", places, cell=[9, 8, 7], pbc=True, info=info)
    frame.arrays["REF_forces"] = forces
    (structure,) = read_structures(save(tmp_path_factory.mktemp("x") / "a.xyz", frame))
    assert structure.energy == energy
    assert structure.atoms.info["charge"] == charge
    np.testing.assert_allclose(structure.forces, forces, atol=WRITTEN_DIGITS)
    np.testing.assert_array_equal(structure.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]], stress)
    np.testing.assert_array_equal(structure.stress, structure.stress.T)


def test_an_lmdb_database_without_the_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ase_db_backends", None)
    monkeypatch.setitem(sys.modules, "ase_db_backends.aselmdb", None)
    (tmp_path / "a.aselmdb").touch()
    with pytest.raises(MHFFError, match=r"needs ase_db_backends.*pip install 'mhff\[aselmdb\]'"):
        read_structures(tmp_path / "a.aselmdb")


def test_an_lmdb_database(tmp_path: Path) -> None:
    """As OMat24 and OMol25 are published: labels are those of ASE's calculator."""
    import ase_db_backends.aselmdb  # noqa: F401 - registers the format

    atoms = Atoms("OH2", positions=[[0, 0, 0], [0, 0, 1], [0, 1, 0]], cell=[5, 5, 5], pbc=True)
    forces = np.arange(9.0).reshape(3, 3)
    labels = {"energy": -1.5, "forces": forces, "stress": np.arange(6.0)}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    with ase.db.connect(tmp_path / "a.aselmdb", type="aselmdb") as database:
        database.write(atoms, data={"charge": 1})
    keys = Keys(energy="energy", forces="forces", stress="stress", charge="charge")
    (structure,) = read_structures(tmp_path / "a.aselmdb", keys)
    assert structure.energy == -1.5
    np.testing.assert_array_equal(structure.forces, forces)
    np.testing.assert_array_equal(structure.stress, [[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    assert structure.atoms.info == {"charge": 1.0}
