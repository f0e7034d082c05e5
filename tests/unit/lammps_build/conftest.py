"""An environment and finished builds that hold text files instead of programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lammps_build.environment import Environment
from lammps_build.linking import Lammps, cached_lammps
from lammps_build.recipe import Recipe


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    prefix = tmp_path / "venv"
    site = prefix / "lib" / "site-packages"
    site.mkdir(parents=True)
    (prefix / "bin").mkdir()
    libpython = tmp_path / "libpython3.11.so.1.0"
    libpython.touch()
    return Environment(prefix, "3.11", "cpython-311", tmp_path / "include", site, libpython)


@pytest.fixture
def cached(tmp_path: Path, environment: Environment) -> Callable[[Recipe], Lammps]:
    """Put a build into the cache, `tmp_path / "cache"`."""

    def make(recipe: Recipe) -> Lammps:
        folder = tmp_path / "cache" / f"lammps-20260704-{recipe.cache_tag(environment)}"
        (folder / "lammps").mkdir(parents=True)
        files = ["lmp", "liblammps.so.0", "lammps/__init__.py"]
        for name in [*files, *(["libkokkoscore.so.5.2"] if recipe.kokkos else [])]:
            (folder / name).write_text(name)
        return cached_lammps(folder)

    return make
