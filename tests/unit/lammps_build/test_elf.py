"""Libraries that ask for older versions of the C libraries; numpy's serves as an example."""

from __future__ import annotations

from pathlib import Path

import pytest
from lammps_build.elf import ask_for_older, versions
from lammps_build.environment import BuildError
from numpy._core import _multiarray_umath


@pytest.fixture
def library(tmp_path: Path) -> Path:
    copy = tmp_path / "library.so"
    copy.write_bytes(Path(_multiarray_umath.__file__).read_bytes())
    return copy


def names(library: Path) -> list[str]:
    return [version.name for version in versions(library.read_bytes())]


def test_a_version_is_replaced_and_nothing_else_changes(library: Path) -> None:
    before = library.read_bytes()
    asked = names(library)
    glibc = [name for name in asked if name.startswith("GLIBC_")]
    newer = max(glibc, key=glibc.count)  # one that several of the C libraries are asked for
    older = next(name for name in glibc if name != newer)
    ask_for_older(library, {newer: older})
    assert names(library) == [older if name == newer else name for name in asked]
    after = library.read_bytes()
    changed = [at for at, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    entries = [version.position for version in versions(before) if version.name == newer]
    fields = (*range(4), *range(8, 12))
    assert set(changed) <= {entry + byte for entry in entries for byte in fields}


@pytest.mark.parametrize("older", [{"GLIBC_9.1": "GLIBC_2.2.5"}, {"GLIBC_2.2.5": "GLIBC_9.1"}])
def test_a_version_that_is_not_there_is_refused(library: Path, older: dict[str, str]) -> None:
    before = library.read_bytes()
    with pytest.raises(BuildError, match=r"expected library.so to ask for GLIBC_9\.1, found"):
        ask_for_older(library, older)
    assert library.read_bytes() == before


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("text")
    with pytest.raises(BuildError, match="expected a shared library of 64 bits"):
        ask_for_older(file, {})
