"""Paths, folders and patterns that stand for files of structures."""

from __future__ import annotations

from pathlib import Path

import pytest

from mhff.data.sources import find_files, identities
from mhff.errors import MHFFError


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_stands_for_its_structure_files(tmp_path: Path) -> None:
    fill(tmp_path, "b.extxyz", "a.db", "c.aselmdb", "notes.txt", "inner/d.xyz")
    names = [path.name for path in find_files([tmp_path])]
    assert names == ["a.db", "b.extxyz", "c.aselmdb"]


def test_patterns(tmp_path: Path) -> None:
    fill(tmp_path, "2/out.xyz", "1/out.xyz", "1/in.xyz", "3/4/out.xyz")
    assert find_files([tmp_path / "*/out.xyz"]) == (tmp_path / "1/out.xyz", tmp_path / "2/out.xyz")
    assert len(find_files([tmp_path / "**/out.xyz"])) == 3


def test_a_file_that_two_sources_name_counts_once(tmp_path: Path) -> None:
    fill(tmp_path, "a.xyz", "b.xyz")
    files = find_files([tmp_path / "b.xyz", tmp_path / "*.xyz"])
    assert files == (tmp_path / "b.xyz", tmp_path / "a.xyz")


def test_names_with_brackets_are_names_if_they_exist(tmp_path: Path) -> None:
    fill(tmp_path, "a[1].xyz")
    assert find_files([tmp_path / "a[1].xyz"]) == (tmp_path / "a[1].xyz",)


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match=r"no file matches '.*\*\.xyz'; check the pattern"):
        find_files([tmp_path / "*.xyz"])
    with pytest.raises(MHFFError, match=r"the folder '.*' has no files that end in \.extxyz, "):
        find_files([tmp_path])
    with pytest.raises(MHFFError, match=r"no file '.*a\.xyz': expected .*; no file '.*b\.xyz'"):
        find_files([tmp_path / "a.xyz", tmp_path / "b.xyz"])


def test_identities_are_names_or_paths_from_the_common_folder(tmp_path: Path) -> None:
    fill(tmp_path, "1/out.xyz", "2/out.xyz", "2/in.xyz")
    paths = find_files([tmp_path / "*/*.xyz"])
    assert set(identities(paths)) == {"1/out.xyz", "2/out.xyz", "2/in.xyz"}
    assert set(identities(paths[1:])) == {"out.xyz", "in.xyz"}
