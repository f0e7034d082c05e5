"""The programs and files that a build needs, checked before anything is downloaded."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .environment import BuildError, Environment

MIN_FREE_SPACE = 3e9  # bytes: archive, sources, objects
FIND_MDI = (
    "import importlib.util as u, numpy; print(*u.find_spec('mdi').submodule_search_locations)"
)


@dataclass(frozen=True)
class Tools:
    """Paths of what builds LAMMPS."""

    cmake: str
    ninja: str
    cythonize: str
    mdi: Path  # the folder of the Python package, which has the C sources of the MDI library


def find_tool(name: str, environment: Environment, advice: str) -> str:
    """The path of a build tool, from the environment or else from PATH."""
    path = shutil.which(name, path=environment.bin) or shutil.which(name)
    if path is None:
        raise BuildError(f"expected {name} to build LAMMPS with, found none: run `{advice}`.")
    return path


def find_tools(environment: Environment, cache: Path) -> Tools:
    """Everything that the build needs; raises BuildError with what is missing."""
    pip = f"{environment.python} -m pip install cmake ninja cython numpy pymdi"
    programs = [find_tool(name, environment, pip) for name in ("cmake", "ninja", "cythonize")]
    for name in ("c++", "cc", "ar"):
        find_tool(name, environment, "apt-get install g++")
    if not (environment.headers / "Python.h").exists():
        raise BuildError(
            f"expected Python.h in {environment.headers}, found none: run `apt-get install "
            "python3-dev`."
        )
    found = subprocess.run(
        [environment.python, "-c", FIND_MDI], check=False, capture_output=True, text=True
    )
    if found.returncode:
        raise BuildError(
            f"expected numpy and pymdi in {environment.prefix}, found that one is missing: run "
            f"`{pip}`."
        )
    free = shutil.disk_usage(cache).free
    if free < MIN_FREE_SPACE:
        raise BuildError(
            f"expected {MIN_FREE_SPACE / 1e9:.0f} GB free in {cache}, found {free / 1e9:.1f}: free "
            "some, or give --cache DIR."
        )
    return Tools(*programs, mdi=Path(found.stdout.strip()))
