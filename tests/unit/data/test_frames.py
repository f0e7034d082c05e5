"""Frames by number: the same as ASE reads from the start, in any process, and damaged files."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.db import connect
from ase.io import read, write
from labelled import labelled_frame
from structures import rattled_bulk

from mhff.data.frames import Frames, Loaded, open_frames
from mhff.errors import MHFFError
from mhff.workers import ordered

WRITTEN_DIGITS = 1e-8
N_FRAMES = 7


def frames() -> list[Atoms]:
    made = []
    for seed in range(N_FRAMES):
        atoms = rattled_bulk()[seed:]
        atoms.positions[:, 0] += 0.1 * seed
        made.append(labelled_frame(atoms, seed=seed))
    return made


def save(path: Path) -> Path:
    if path.suffix in (".db", ".json", ".aselmdb"):
        kind = path.suffix.removeprefix(".")
        with connect(path, type=kind) as database:
            for frame in frames():
                database.write(frame, data={"energy_label": frame.info["REF_energy"]})
    else:
        write(path, frames(), format=None if path.suffix == ".traj" else "extxyz")
    return path


@pytest.mark.parametrize("name", ["a.xyz", "a.extxyz", "a.traj", "a.db", "a.json", "a.aselmdb"])
def test_any_frame_in_any_order(tmp_path: Path, name: str) -> None:
    if name.endswith("aselmdb"):
        pytest.importorskip("ase_db_backends")
    found = open_frames(save(tmp_path / name))
    expected = frames()
    assert len(found) == N_FRAMES
    for index in (5, 0, 6, 2, 2):
        np.testing.assert_allclose(
            found[index].positions, expected[index].positions, atol=WRITTEN_DIGITS
        )
    assert [len(frame) for frame in found] == [len(frame) for frame in expected]


def total(task: tuple[Frames, int]) -> float:
    source, index = task
    return float(source[index].positions.sum())


@pytest.mark.parametrize("name", ["a.xyz", "a.traj", "a.db", "a.aselmdb"])
def test_other_processes_open_the_file_themselves(tmp_path: Path, name: str) -> None:
    if name.endswith("aselmdb"):
        pytest.importorskip("ase_db_backends")
    found = open_frames(save(tmp_path / name))
    assert len(found[0]) == len(found[1]) + 1, "the file is open here, too"
    copy = pickle.loads(pickle.dumps(found))
    assert len(copy) == N_FRAMES
    assert copy[3] == found[3]
    tasks = [(found, index) for index in range(N_FRAMES)] * 5
    expected = [frame.positions.sum() for frame in frames()] * 5
    assert list(ordered(total, tasks, 2)) == pytest.approx(expected, abs=1e-6)


def test_extended_xyz_is_what_ase_reads(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xyz")
    for mine, ases in zip(open_frames(path), read(path, ":"), strict=True):
        assert mine == ases
        assert mine.info == ases.info
        np.testing.assert_array_equal(mine.arrays["REF_forces"], ases.arrays["REF_forces"])


def test_blank_lines_between_frames(tmp_path: Path) -> None:
    """ASE ends at the first one without a word."""
    path = tmp_path / "a.xyz"
    path.write_text("\n1\nREF_energy=1\nH 0 0 0\n\n \n1\nREF_energy=2\nH 0 0 0\n\n")
    assert [frame.info["REF_energy"] for frame in open_frames(path)] == [1, 2]


def test_lattice_vectors_in_lines_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("1\nx\nH 0 0 0\nVEC1 3 0 0\nVEC2 0 4 0\n1\nx\nO 0 0 0\nVEC1 5 0 0\n")
    first, second = open_frames(path)
    assert (first.cell.lengths().tolist(), first.pbc.tolist()) == ([3, 4, 0], [True, True, False])
    assert (second.cell.lengths().tolist(), str(second.symbols)) == ([5, 0, 0], "O")


def test_a_compressed_file_is_held_in_memory(tmp_path: Path) -> None:
    content = save(tmp_path / "a.xyz").read_bytes()
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress(content))
    found = open_frames(tmp_path / "a.xyz.gz")
    assert isinstance(found, Loaded)
    assert len(found) == N_FRAMES


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "Empty file"),
        ("\n\n", "holds no structures"),
        ("2\nx\nH 0 0 0\n", "structure 1 is cut short"),
        ("1\nx\nH 0 0 0\n1\n", "structure 2 is cut short"),
        ("9999999999999999999\nx\nH 0 0 0\n", "structure 1 is cut short"),
        ("-5\nx\nH 0 0 0\n", "cannot read structures from"),
        ("one\nx\nH 0 0 0\n", "cannot read structures from"),
        ("1\nx\nH 0 0 0\nno number\n", "cannot read structures from"),
    ],
)
def test_damaged_extended_xyz(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(content)
    with pytest.raises(MHFFError, match=sentence) as caught:
        open_frames(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("second", ["1\nx\nH 0 0\n", "1\nx\nH a b c\n", "1\nx\nQq 0 0 0\n"])
def test_a_damaged_frame_is_named(tmp_path: Path, second: str) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(f"1\nx\nH 0 0 0\n{second}")
    found = open_frames(path)
    assert len(found[0]) == 1
    with pytest.raises(MHFFError, match=r"^cannot read structure 2 of '.*a\.xyz' \("):
        found[1]


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_bytes(b"1\n\xff\xfe\x00\nH 0 0 0\n")
    with pytest.raises(MHFFError, match="cannot read structure"):
        open_frames(path)[0]


@pytest.mark.parametrize("name", ["a.xyz", "a.traj", "a.db", "a.json"])
def test_a_file_that_changes(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name)
    found = open_frames(path)
    assert len(found[1]) > 0
    os.utime(path, ns=(0, 0))
    with pytest.raises(MHFFError, match="has changed since it was first read"):
        found[2]


@pytest.mark.parametrize("name", ["a.xyz", "a.traj", "a.json"])
def test_no_file_stays_open(tmp_path: Path, name: str) -> None:
    """A set may have more files than a process may keep open."""
    found = open_frames(save(tmp_path / name))
    assert len(found[0]) > 0
    opened = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert str((tmp_path / name).resolve()) not in opened


def test_a_file_that_disappears(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xyz")
    found = open_frames(path)
    path.unlink()
    with pytest.raises(MHFFError, match=r"cannot read '.*a\.xyz' \(No such file"):
        found[0]
