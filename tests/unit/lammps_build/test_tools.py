"""What a build needs is asked for, one sentence each, before anything is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from lammps_build import tools
from lammps_build.environment import BuildError, Environment

PROGRAMS = ("cmake", "ninja", "cythonize", "c++", "cc", "ar")


def put(folder: Path, name: str, text: str = "#!/bin/sh\n") -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


@pytest.fixture
def ready(environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """An environment that has everything; its Python finds MDI in /mdi."""
    monkeypatch.setenv("PATH", "")
    for name in PROGRAMS:
        put(environment.bin, name)
    put(environment.bin, "python", "#!/bin/sh\necho /mdi\n")
    environment.headers.mkdir()
    (environment.headers / "Python.h").touch()
    return environment


def test_everything_is_found(ready: Environment, tmp_path: Path) -> None:
    found = tools.find_tools(ready, tmp_path)
    assert found.cmake == str(ready.bin / "cmake")
    assert found.mdi == Path("/mdi")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_missing_program_is_named(ready: Environment, tmp_path: Path, name: str) -> None:
    (ready.bin / name).unlink()
    with pytest.raises(BuildError) as error:
        tools.find_tools(ready, tmp_path)
    assert f"expected {name} to build LAMMPS with, found none: run `" in str(error.value)


def test_missing_headers_are_named(ready: Environment, tmp_path: Path) -> None:
    (ready.headers / "Python.h").unlink()
    with pytest.raises(BuildError, match=r"expected Python\.h in .*python3-dev"):
        tools.find_tools(ready, tmp_path)


def test_missing_python_packages_are_named(ready: Environment, tmp_path: Path) -> None:
    put(ready.bin, "python", "#!/bin/sh\nexit 1\n")
    with pytest.raises(BuildError, match=r"expected numpy and pymdi in .*pip install .*pymdi"):
        tools.find_tools(ready, tmp_path)


def test_a_full_disk_is_noticed(
    ready: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "MIN_FREE_SPACE", 1e18)
    with pytest.raises(BuildError, match=r"GB free in .*: free some, or give --cache DIR"):
        tools.find_tools(ready, tmp_path)
