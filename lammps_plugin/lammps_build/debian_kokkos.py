"""Kokkos from Debian's `unstable` suite: two binary packages, adapted to older C libraries.

Debian builds Kokkos with OpenMP and without CUDA. Its library asks for glibc 2.38 and libstdc++ 13;
where these are older, it is made to ask for older ones, and `newer_libraries.cpp`, linked into
LAMMPS, has the three functions that it calls from the newer ones.
"""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from .apt import Unstable, open_unstable
from .elf import ask_for_older
from .environment import BuildError, run_step, say

TESTED = "5.2.2"
ELSEWHERE = (
    "put an lmp with KOKKOS on PATH, or use LAMMPS without KOKKOS, which `make lammps` builds"
)
GLIBC = (2, 38)
OLDER_VERSIONS = {
    "GLIBC_2.38": "GLIBC_2.34",
    "GLIBCXX_3.4.31": "GLIBCXX_3.4.29",
    "GLIBCXX_3.4.32": "GLIBCXX_3.4.29",
}
NEWER_LIBRARIES = Path(__file__).with_name("newer_libraries.cpp")
LIBRARIES = "libkokkos*.so.*"
NOT_PACKAGED = ("libkokkosalgorithms.a", "libkokkossimd.a")  # empty, but named by the cmake files
EMPTY_ARCHIVE = "!<arch>\n"
LOAD = "import ctypes, sys; [ctypes.CDLL(path, ctypes.RTLD_GLOBAL) for path in sys.argv[1:]]"


@dataclass(frozen=True)
class Kokkos:
    """Kokkos, ready to build LAMMPS with."""

    folder: Path  # of its libraries
    object_file: Path | None  # to be linked into LAMMPS, where the C libraries are older

    @property
    def libraries(self) -> list[Path]:
        """The shared libraries, and the links between their names."""
        return sorted(self.folder.glob(LIBRARIES))

    @property
    def settings(self) -> dict[str, str]:
        """Settings of LAMMPS' cmake."""
        settings = {"Kokkos_DIR": str(self.folder / "cmake" / "Kokkos")}
        if self.object_file is not None:
            settings["CMAKE_CXX_STANDARD_LIBRARIES"] = str(self.object_file)
        return settings


def fetch_kokkos(folder: Path) -> Kokkos:
    """Download, unpack, adapt and load Kokkos; raises BuildError where that fails."""
    folder.mkdir()
    suite = open_unstable(folder, "deb", ELSEWHERE)
    packages = choose_packages(suite.run("apt-cache", "show", "libkokkos-dev"))
    libraries = unpack_packages(suite, packages)
    mend_cmake_files(libraries, folder / "root")
    object_file = None
    if tuple(map(int, platform.libc_ver()[1].split("."))) < GLIBC:
        object_file = adapt(libraries, folder)
    kokkos = Kokkos(libraries, object_file)
    check_loading(kokkos, folder)
    return kokkos


def choose_packages(description: str) -> list[str]:
    """The packages with their versions, such as `libkokkos-dev=5.2.2-2`, from `apt-cache show`."""
    version = re.search(r"^Version: (\S+)", description, re.MULTILINE)
    library = re.search(r"^Depends: .*\b(libkokkos\d[\d.]*)", description, re.MULTILINE)
    if version is None or library is None or not version[1].startswith(TESTED.partition(".")[0]):
        found = version[1] if version else "none"
        raise BuildError(
            f"expected Kokkos {TESTED} in Debian unstable, found {found}: {ELSEWHERE}."
        )
    if not version[1].startswith(f"{TESTED}-"):
        say(f"WARNING: expected Kokkos {TESTED} in Debian unstable, found {version[1]}; taking it")
    return [f"{name}={version[1]}" for name in ("libkokkos-dev", library[1])]


def unpack_packages(suite: Unstable, packages: list[str]) -> Path:
    """Download the packages and unpack them into `root`; return the folder of the libraries."""
    suite.run("apt-get", "download", *packages)
    root = suite.folder / "root"
    archives = sorted(suite.folder.glob("*.deb"))
    for archive in archives:
        run_step(["dpkg-deb", "-x", archive, root], f"unpacking {archive}", ELSEWHERE)
    say(f"have {' and '.join(archive.name for archive in archives)}")
    found = [path.parents[2] for path in root.glob("usr/lib/*/cmake/Kokkos/KokkosConfig.cmake")]
    if len(found) != 1:
        raise BuildError(
            f"expected cmake files of Kokkos in {root}, found {len(found)} sets: {ELSEWHERE}."
        )
    return found[0]


def mend_cmake_files(libraries: Path, root: Path) -> None:
    """Let Kokkos' cmake files name the unpacked headers, and files that are not packaged."""
    targets = libraries / "cmake" / "Kokkos" / "KokkosTargets.cmake"
    text = targets.read_text()
    if '"/usr/include/kokkos"' not in text:
        raise BuildError(
            f"expected /usr/include/kokkos in {targets.name}, found none: {ELSEWHERE}."
        )
    targets.write_text(text.replace('"/usr/include/kokkos"', f'"{root}/usr/include/kokkos"'))
    for name in NOT_PACKAGED:
        if not (libraries / name).exists():
            (libraries / name).write_text(EMPTY_ARCHIVE)


def adapt(libraries: Path, folder: Path) -> Path:
    """Adapt the core library to older C libraries; return the object file that LAMMPS needs."""
    say("adapting Kokkos to this machine's older C libraries")
    for library in libraries.glob("libkokkoscore.so.*"):
        if not library.is_symlink():
            ask_for_older(library, OLDER_VERSIONS)
    object_file = folder / "newer_libraries.o"
    compile_cpp(["-c", "-o", object_file])
    return object_file


def compile_cpp(arguments: list[str | Path]) -> None:
    """Compile `newer_libraries.cpp`."""
    command = ["c++", "-O2", "-fPIC", NEWER_LIBRARIES, *arguments]
    run_step(command, f"compiling {NEWER_LIBRARIES.name}", ELSEWHERE)


def check_loading(kokkos: Kokkos, folder: Path) -> None:
    """Load the core library, so that a missing function is found before LAMMPS is compiled."""
    paths = [path for path in kokkos.libraries if path.name.startswith("libkokkoscore")][:1]
    if kokkos.object_file is not None:
        functions = folder / "newer_libraries.so"
        compile_cpp(["-shared", "-o", functions])
        paths.insert(0, functions)
    run_step([sys.executable, "-c", LOAD, *paths], "loading Debian's Kokkos", ELSEWHERE)
