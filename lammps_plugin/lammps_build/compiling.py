"""Compile LAMMPS once per machine and Python version, into a cache that environments link to."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .debian_source import EXPECTED, fetch_source
from .environment import BuildError, Environment, say

PACKAGES = ["ML-IAP", "ML-SNAP", "PYTHON", "MANYBODY", "MOLECULE", "KSPACE", "RIGID", "EXTRA-FIX"]
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "ON",
    "BUILD_MPI": "ON",
    "BUILD_OMP": "OFF",  # torch brings its own OpenMP; one per process is enough
    "MLIAP_ENABLE_PYTHON": "ON",
    **{f"PKG_{package}": "ON" for package in PACKAGES},
    # Avoid instructions that only some machines have.
    "FFT": "KISS",
    **{f"WITH_{library}": "OFF" for library in ("JPEG", "PNG", "CURL")},
    # Libraries are found where an environment links them (see linking.py): beside the file, and in
    # the environment's lib. The program has the old kind of path because lammps.mliap asks for
    # libpython by a name that only this kind finds.
    "CMAKE_INSTALL_RPATH": "$ORIGIN;$ORIGIN/../../..",
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
    "CMAKE_EXE_LINKER_FLAGS": "-Wl,--disable-new-dtags",
}
MIN_FREE_SPACE = 3e9  # bytes: archive, sources, objects
REPORT_INTERVAL = 30  # seconds


def cache_tag(environment: Environment) -> str:
    """Part of a build's folder name: a hash of all that it depends on, besides LAMMPS' version."""
    facts = [*sorted(OPTIONS.items()), environment.abi, platform.machine(), platform.libc_ver()]
    return f"py{environment.version}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:8]}"


def find_cached(cache: Path, environment: Environment) -> Path | None:
    """The finished build for this environment, if there is one."""
    return next(iter(sorted(cache.glob(f"lammps-*-{cache_tag(environment)}"))), None)


def tool(name: str, environment: Environment, advice: str) -> str:
    """The path of a build tool, from the environment or else from PATH."""
    path = shutil.which(name, path=environment.bin) or shutil.which(name)
    if path is None:
        raise BuildError(f"expected {name} to build LAMMPS with, found none: run `{advice}`.")
    return path


def check_tools(environment: Environment, cache: Path) -> dict[str, str]:
    """Check everything the build needs before anything is downloaded; return the programs."""
    pip = f"{environment.python} -m pip install cmake ninja cython numpy"
    tools = {name: tool(name, environment, pip) for name in ("cmake", "ninja", "cythonize")}
    tool("c++", environment, "apt-get install g++")
    if not (environment.headers / "Python.h").exists():
        raise BuildError(
            f"expected Python.h in {environment.headers}, found none: run `apt-get install "
            "python3-dev`."
        )
    if subprocess.run(
        [environment.python, "-c", "import numpy"], check=False, capture_output=True
    ).returncode:
        raise BuildError(f"expected numpy in {environment.prefix}, found none: run `{pip}`.")
    free = shutil.disk_usage(cache).free
    if free < MIN_FREE_SPACE:
        raise BuildError(
            f"expected {MIN_FREE_SPACE / 1e9:.0f} GB free in {cache}, found {free / 1e9:.1f}: free "
            "some, or give --cache DIR."
        )
    return tools


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
    done = subprocess.run(
        ["tar", "-xf", archive, "-C", folder], check=False, capture_output=True, text=True
    )
    if done.returncode:
        reason = done.stderr.splitlines()[0]
        raise BuildError(
            f'expected to unpack {archive}, got "{reason}": mend that, or give another --source.'
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
    root: Path, folder: Path, environment: Environment, tools: dict[str, str]
) -> Path:
    """Configure and compile in `folder/build`; return that folder."""
    build = folder / "build"
    log = folder / "build.log"
    settings = OPTIONS | {
        "CMAKE_MAKE_PROGRAM": tools["ninja"],
        "Cythonize_EXECUTABLE": tools["cythonize"],
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
        [tools["cmake"], "-S", str(root / "cmake"), "-B", str(build), "-G", "Ninja", *defines],
        log,
        "configuring",
    )
    jobs = len(os.sched_getaffinity(0))
    run_logged([tools["ninja"], "-C", str(build), f"-j{jobs}"], log, f"compiling with {jobs} jobs")
    return build


def build_lammps(environment: Environment, cache: Path, source: Path | None) -> Path:
    """Return the cached build for this environment, made now if need be.

    The result holds `lmp`, `liblammps.so.0` and the Python package `lammps`. It appears under its
    name only when it is complete; sources and objects are removed, and after a failure only the
    downloaded archive is used again.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(
            f'expected to build in {cache}, got "{error.strerror}": give another --cache.'
        ) from error
    with locked(cache):
        if found := find_cached(cache, environment):
            return found
        tools = check_tools(environment, cache)
        work = cache / "lammps-build"
        for leftover in ("source", "build", "result", "build.log"):
            path = work / leftover
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
        (work / "result").mkdir(parents=True)
        root = unpack(source or fetch_source(work), work / "source")
        version = read_version(root)
        build = compile_source(root, work, environment, tools)
        shutil.copytree(root / "python" / "lammps", work / "result" / "lammps")
        for name in ("lmp", "liblammps.so.0"):
            shutil.copy2(build / name, work / "result" / name)
        final = cache / f"lammps-{version}-{cache_tag(environment)}"
        os.rename(work / "result", final)
        shutil.rmtree(work)
    return final
