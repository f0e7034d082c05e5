"""The Python environment that LAMMPS is built for, and the two ways to talk to the user."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path


class BuildError(Exception):
    """One sentence for the user: what was expected, what was found, what to do."""


def reason_file(prefix: Path) -> Path:
    """Where a build that went on without KOKKOS leaves the reason, for the tests."""
    return prefix / "why-no-lmp-kokkos"


def reason_without_kokkos(prefix: Path) -> str | None:
    """Why the environment at `prefix` has no LAMMPS with KOKKOS; None if it has one."""
    program = prefix / "bin" / "lmp-kokkos"
    if program.exists():
        return None
    file = reason_file(prefix)
    return file.read_text().strip() if file.exists() else f"no {program}: run `make lammps-kokkos`"


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"lammps: {text}", flush=True)


def run_step(command: list[str | Path], step: str, advice: str, folder: Path | None = None) -> str:
    """Run a command and return its output; its first error becomes the user's sentence."""
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return done.stdout
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no message"]
    errors = [line for line in lines if "error" in line.lower()] or lines
    raise BuildError(f'expected {step} to work, got "{errors[0]}": {advice}.')


@dataclass(frozen=True)
class Environment:
    """A virtual environment (or any Python prefix), as its own interpreter describes it."""

    prefix: Path
    version: str  # "3.11"
    abi: str  # "cpython-311-x86_64-linux-gnu"
    headers: Path
    site: Path  # site-packages
    libpython: Path  # the shared library that LAMMPS embeds

    @property
    def bin(self) -> Path:
        """The folder of the environment's programs."""
        return self.prefix / "bin"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.bin / "python"


QUERY = """
import json, os, sys, sysconfig
get = sysconfig.get_config_var
libdir = get("LIBDIR")
folders = [libdir, f"{libdir}/{get('MULTIARCH') or ''}", f"{sys.base_prefix}/lib"]
libraries = [os.path.join(folder, get("INSTSONAME")) for folder in folders]
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2], "abi": get("SOABI"), "headers": get("INCLUDEPY"),
    "site": sysconfig.get_path("purelib"),
    "libpython": next((path for path in libraries if ".so" in path and os.path.exists(path)), None),
}))
"""


def inspect_environment(prefix: Path) -> Environment:
    """Ask the interpreter of `prefix` about itself, and check what every LAMMPS needs from it."""
    prefix = prefix.absolute()
    python = prefix / "bin" / "python"
    if not python.exists():
        raise BuildError(
            f"expected a virtual environment at {prefix}, found no {python}: run `python3 -m venv "
            f"{prefix}`."
        )
    answer = json.loads(
        subprocess.run(
            [python, "-I", "-c", QUERY], check=True, capture_output=True, text=True
        ).stdout
    )
    if answer["libpython"] is None:
        raise BuildError(
            f"expected a Python with a shared library, found that {python} has none: make the "
            "environment with one that has (Debian: `apt-get install python3-dev`; pyenv: build "
            "with --enable-shared)."
        )
    if not (prefix / "lib" / "libmpi.so.12").exists():
        raise BuildError(
            f"expected MPICH in {prefix / 'lib'}, found no libmpi.so.12: run `{python} -m pip "
            "install mpich`."
        )
    paths = {key: Path(answer[key]) for key in ("headers", "site", "libpython")}
    return Environment(prefix, answer["version"], answer["abi"], **paths)
