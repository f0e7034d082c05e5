"""Files of structures named by a path, a folder or a pattern such as `runs/*/out.extxyz`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from mhff.errors import MHFFError, listing

SUFFIXES = (".extxyz", ".xyz", ".db", ".aselmdb", ".traj", ".json")
"""Endings of the files that a folder stands for."""


def find_files(sources: Sequence[Path]) -> tuple[Path, ...]:
    """The files that paths, folders and patterns stand for, each once, sorted within a source.

    Raises one MHFFError for all missing files, and folders and patterns without files.
    """
    found: dict[Path, None] = {}
    problems = []
    for source in sources:
        try:
            found |= dict.fromkeys(_expand(source))
        except MHFFError as error:
            problems.append(str(error))
    if problems:
        raise MHFFError("; ".join(problems))
    return tuple(found)


def identities(files: Sequence[Path]) -> dict[str, Path]:
    """Files by name, or by path from their common folder if two have the same name."""
    by_name = {path.name: path for path in files}
    if len(by_name) == len(files):
        return by_name
    absolute = [path.resolve() for path in files]
    common = os.path.commonpath(absolute)
    return {path.relative_to(common).as_posix(): path for path in absolute}


def _expand(source: Path) -> list[Path]:
    if source.is_dir():
        files = [path for path in sorted(source.iterdir()) if path.suffix in SUFFIXES]
        if not files:
            raise MHFFError(
                f"the folder '{source}' has no files that end in {listing(SUFFIXES)}; check the "
                "path, or give a pattern"
            )
        return files
    if source.is_file():
        return [source]
    if not has_magic(str(source)):
        raise MHFFError(
            f"no file '{source}': expected structures in extended XYZ or another format that ASE "
            "reads; check the path"
        )
    matches = [Path(path) for path in sorted(glob(str(source), recursive=True))]
    files = [path for path in matches if path.is_file()]
    if not files:
        raise MHFFError(f"no file matches '{source}'; check the pattern")
    return files
