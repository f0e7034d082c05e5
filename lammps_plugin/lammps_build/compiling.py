"""Compile LAMMPS once per machine and Python version, into a cache that environments link to."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .debian_kokkos import fetch_kokkos
from .debian_source import EXPECTED, fetch_source
from .environment import BuildError, Environment, run_step, say
from .mdi import compile_mdi
from .recipe import Recipe, leave_out_styles, mend_exchange
from .tools import Tools, find_tools

REPORT_INTERVAL = 30  # seconds
LEFTOVERS = ("source", "kokkos", "mdi", "build", "result", "build.log")


def find_cached(cache: Path, environment: Environment, recipe: Recipe) -> Path | None:
    """The finished build for this environment, if there is one."""
    return next(iter(sorted(cache.glob(f"lammps-*-{recipe.cache_tag(environment)}"))), None)


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Hold the cache for one build at a time; the lock ends with the process."""
    with open(cache / "lammps.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another build in {cache}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack the archive, flat or with one folder inside, and return the source's root."""
    folder.mkdir()
    run_step(
        ["tar", "-xf", archive, "-C", folder],
        f"unpacking {archive}",
        "mend that, or give another --source",
    )
    for root in (folder, *folder.iterdir()):
        if (root / "cmake" / "CMakeLists.txt").exists():
            return root
    raise BuildError(
        f"expected a LAMMPS source, found no cmake/CMakeLists.txt in {archive}: give another "
        "--source."
    )


def read_version(root: Path) -> int:
    """The version of a source tree as LAMMPS counts it, such as 20260704."""
    text = (root / "src" / "version.h").read_text()
    date = time.strptime(text.split('"')[1], "%d %b %Y")
    version = date.tm_year * 10000 + date.tm_mon * 100 + date.tm_mday
    if version < EXPECTED:
        raise BuildError(
            f"expected LAMMPS {EXPECTED} or newer, found {version}: give another --source."
        )
    return version


def run_logged(command: list[str], log: Path, step: str) -> None:
    """Run a command with its output in `log`, reporting ninja's progress now and then."""
    say(f"{step} (output in {log})")
    start = reported = time.monotonic()
    with (
        open(log, "a") as file,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as job,
    ):
        for line in job.stdout or ():
            file.write(line)
            counts = re.match(r"\[(\d+/\d+)\]", line)
            if counts and time.monotonic() - reported > REPORT_INTERVAL:
                reported = time.monotonic()
                say(f"{counts.group(1)} files after {(reported - start) / 60:.1f} min")
    if job.returncode:
        errors = [
            line
            for line in log.read_text().splitlines()
            if re.search(r"\berror\b", line, re.IGNORECASE)
        ] or ["no message"]
        raise BuildError(
            f'expected {step} to work, got "{errors[0].strip()}": read {log}, mend that, and run '
            "again."
        )


def compile_source(
    root: Path, work: Path, environment: Environment, tools: Tools, options: dict[str, str]
) -> Path:
    """Configure and compile in `work/build`; return that folder."""
    build = work / "build"
    log = work / "build.log"
    settings = options | {
        "CMAKE_MAKE_PROGRAM": tools.ninja,
        "Cythonize_EXECUTABLE": tools.cythonize,
        "Python_EXECUTABLE": str(environment.python),
        # MPICH's compiler wrapper would write this environment's path into the result, so name
        # header and library instead.
        "MPI_SKIP_COMPILER_WRAPPER": "ON",
        "MPI_CXX_LIB_NAMES": "mpi",
        "MPI_mpi_LIBRARY": str(environment.prefix / "lib" / "libmpi.so"),
        "MPI_CXX_HEADER_DIR": str(environment.prefix / "include"),
    }
    defines = [f"-D{name}={value}" for name, value in settings.items()]
    run_logged(
        [tools.cmake, "-S", str(root / "cmake"), "-B", str(build), "-G", "Ninja", *defines],
        log,
        "configuring",
    )
    jobs = len(os.sched_getaffinity(0))
    run_logged([tools.ninja, "-C", str(build), f"-j{jobs}"], log, f"compiling with {jobs} jobs")
    return build


def empty_work_folder(cache: Path) -> Path:
    """The folder in which LAMMPS is built, without what a failed build left there.

    A downloaded archive stays, to be used again.
    """
    work = cache / "lammps-build"
    for leftover in LEFTOVERS:
        path = work / leftover
        path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
    (work / "result").mkdir(parents=True)
    return work


def build_lammps(
    environment: Environment, cache: Path, source: Path | None, recipe: Recipe
) -> Path:
    """Return the cached build for this environment, made now if need be.

    The result holds `lmp`, `liblammps.so.0`, the Python package `lammps` and Kokkos' libraries if
    it has KOKKOS. It appears under its name only when it is complete; sources and objects are
    removed, and after a failure only the downloaded archive is used again.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(
            f'expected to build in {cache}, got "{error.strerror}": give another --cache.'
        ) from error
    with locked(cache):
        if found := find_cached(cache, environment, recipe):
            return found
        tools = find_tools(environment, cache)
        work = empty_work_folder(cache)
        options = recipe.options
        libraries: list[Path] = []
        if recipe.kokkos:  # first, because it may be missing
            kokkos = fetch_kokkos(work / "kokkos")
            options = options | kokkos.settings
            libraries = kokkos.libraries
        root = unpack(source or fetch_source(work), work / "source")
        version = read_version(root)
        leave_out_styles(root)
        if recipe.kokkos:
            mend_exchange(root)
        options = options | compile_mdi(tools.mdi, environment, work / "mdi")
        build = compile_source(root, work, environment, tools, options)
        result = work / "result"
        shutil.copytree(root / "python" / "lammps", result / "lammps")
        for path in (build / "lmp", build / "liblammps.so.0", *libraries):
            shutil.copy2(path, result / path.name)
        final = cache / f"lammps-{version}-{recipe.cache_tag(environment)}"
        os.rename(result, final)
        shutil.rmtree(work)
    return final
