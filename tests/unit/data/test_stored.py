"""Structures that stay in their files answer as those in memory do."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.io import read, write
from labelled import both_heads

from mhff.data.keys import DEFAULT_SETTING, Keys
from mhff.data.reading import LabelledStructure, read_structures
from mhff.data.statistics import elements_of, energy_shift, force_scale, isolated_energies
from mhff.data.stored import StoredStructure, Summary, read_stored
from mhff.errors import MHFFError

N_CELLS = 5
REST = ("n_atoms", "place", "is_isolated_atom", "is_labelled", "elements")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Structures of which one has no forces and no stress, one a charge, one NaN."""
    path = both_heads(tmp_path, N_CELLS)
    frames = read(path, ":")
    frames[4].info["charge"] = 1
    frames[5].arrays["REF_forces"][0, 0] = np.nan
    write(path, frames, format="extxyz")
    return path


def stored(path: Path, n_workers: int = 0) -> list[StoredStructure]:
    return read_stored(path, Keys(head=None), DEFAULT_SETTING, n_workers)


def in_memory(structures: list[StoredStructure]) -> list[LabelledStructure]:
    return [item.load() for item in structures]


@pytest.mark.parametrize("n_workers", [0, 2])
def test_they_answer_as_structures_in_memory(path: Path, n_workers: int) -> None:
    found = stored(path, n_workers)
    expected = in_memory(found)
    assert [type(item) for item in expected] == [LabelledStructure] * len(found)
    for mine, other in zip(found, expected, strict=True):
        for name in (*Summary._fields, *REST):
            np.testing.assert_equal(getattr(mine, name), getattr(other, name), name)
        assert mine.atoms == other.atoms
        np.testing.assert_array_equal(mine.forces, other.forces)
        np.testing.assert_array_equal(mine.stress, other.stress)
    assert [item.not_finite for item in found if item.not_finite] == [("REF_forces",)]


def test_a_copy_for_another_process(path: Path) -> None:
    first = stored(path)[4]
    copy = pickle.loads(pickle.dumps(first))
    assert copy.summary == first.summary
    assert copy.atoms == first.atoms


@pytest.mark.parametrize(
    "statistic",
    [
        elements_of,
        force_scale,
        isolated_energies,
        lambda items: energy_shift(items, {"H": -1.0, "O": -20.0}),
    ],
)
def test_statistics_do_not_read_the_file_again(
    path: Path, statistic: Callable[[object], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = slice(0, N_CELLS + 2)
    found = [item for item in stored(path)[loose] if not item.not_finite]
    expected = statistic(in_memory(found))
    monkeypatch.delattr(StoredStructure, "load")
    assert statistic(found) == expected


def test_mistakes_are_found_in_the_first_pass(path: Path) -> None:
    frames = read(path, ":")
    frames[7].info["REF_energy"] = "much"
    write(path, frames, format="extxyz")
    for n_workers in (0, 2):
        with pytest.raises(MHFFError, match=r"^expected numbers under 'REF_energy' in structure 8"):
            stored(path, n_workers)


def test_read_structures_reads_the_same(path: Path) -> None:
    write(path, [frame for i, frame in enumerate(read(path, ":")) if i != 5], format="extxyz")
    assert [item.energy for item in read_structures(path)] == [item.energy for item in stored(path)]
