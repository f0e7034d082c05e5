"""Labelled structures from files: labels, keys, and one sentence for everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from labelled import labelled_frame
from structures import rattled_bulk

from mhff.data.reading import Keys, read_structures
from mhff.errors import MHFFError


def save(path: Path, *frames: Atoms) -> Path:
    write(path, list(frames), format="extxyz")
    return path


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
    np.testing.assert_allclose(structure.forces, frame.arrays["REF_forces"], atol=1e-7)
    assert structure.stress.tolist() == [[0, 5, 4], [5, 1, 3], [4, 3, 2]]


def test_optional_labels_may_be_missing(tmp_path: Path) -> None:
    frame = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]], info={"REF_energy": -1.0})
    (structure,) = read_structures(save(tmp_path / "a.xyz", frame))
    assert (structure.forces, structure.stress, structure.head) == (None, None, None)


def test_own_keys_and_ase_calculator_results(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(
        '1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-2.5 level="own"\nH 0 0 0 0.1 0.2 '
        "0.3\n"
    )
    (structure,) = read_structures(path, Keys(energy="energy", forces="forces", head="level"))
    assert structure.energy == -2.5
    assert structure.forces.tolist() == [[0.1, 0.2, 0.3]]
    assert structure.head == "own"


def test_missing_file() -> None:
    with pytest.raises(MHFFError, match=r"no file 'nowhere\.xyz'"):
        read_structures("nowhere.xyz")


def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("not a structure\n")
    with pytest.raises(MHFFError, match="cannot read structures from"):
        read_structures(path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("")
    with pytest.raises(MHFFError, match=r"holds no structures|cannot read structures"):
        read_structures(tmp_path / "a.xyz")


def test_no_energy_says_what_there_is(tmp_path: Path) -> None:
    frame = Atoms("H", info={"dft_energy": -1.0, "config_type": "x"})
    path = save(tmp_path / "a.xyz", frame)
    with pytest.raises(
        MHFFError,
        match=r"no energy under 'REF_energy' in structure 1 of .*config_type, "
        r"dft_energy.*keys\.energy",
    ):
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


def test_not_a_number(tmp_path: Path) -> None:
    frame = labelled_frame(rattled_bulk())
    frame.arrays["REF_forces"][3, 1] = np.nan
    with pytest.raises(
        MHFFError, match="expected finite numbers under 'REF_forces' in structure 1"
    ):
        read_structures(save(tmp_path / "a.xyz", frame))


def test_words_where_numbers_belong(tmp_path: Path) -> None:
    frame = Atoms("H", info={"REF_energy": "minus one"})
    with pytest.raises(MHFFError, match="expected numbers under 'REF_energy'"):
        read_structures(save(tmp_path / "a.xyz", frame))


def test_stress_needs_a_cell(tmp_path: Path) -> None:
    frame = Atoms("H", info={"REF_energy": -1.0, "REF_stress": np.zeros(6)})
    with pytest.raises(MHFFError, match="no cell of three lattice vectors"):
        read_structures(save(tmp_path / "a.xyz", frame))
