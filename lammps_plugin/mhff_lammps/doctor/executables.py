"""Programs of LAMMPS on this machine, and what each says of itself (`lmp -h`)."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

NAMES = ("lmp", "lmp-kokkos", "lmp_mpi", "lmp_serial")
"""Names under which LAMMPS is installed: mhff's own builds, other people's."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
VERSION = re.compile(r"Massively Parallel Simulator - (\d+) (\w{3})\w* (\d{4})")
PACKAGES = re.compile(r"^Installed packages:(.*?)^List of", re.MULTILINE | re.DOTALL)
BACK_END = re.compile(r"^KOKKOS package API:\s*(.+)$", re.MULTILINE)
KOKKOS_VERSION = re.compile(r"^Kokkos library version:\s*(.+)$", re.MULTILINE)
MPI = re.compile(r"^MPI v[\d.]+:\s*(.+)$", re.MULTILINE)
GPU_BACK_ENDS = ("CUDA", "HIP", "SYCL")
STUBS = "MPI STUBS"
"""LAMMPS' name of the library with which it is built without MPI."""
DISPERSION = "dispersion/d3"


@dataclass(frozen=True)
class Build:
    """A build of LAMMPS as it describes itself."""

    version: int
    """The date of the version as LAMMPS counts it, such as 20260704."""
    packages: frozenset[str]
    kokkos: str
    """Back ends and version of Kokkos, such as "OpenMP Serial (4.6.99)"; empty without KOKKOS."""
    mpi: str
    """Name and version of the MPI library, such as "MPICH 5.0.2"."""
    has_dispersion: bool
    """Whether it has `pair_style dispersion/d3`."""

    @property
    def needs_gpu(self) -> bool:
        """Whether KOKKOS is built for GPUs, and then cannot be turned on without one."""
        return any(name in self.kokkos for name in GPU_BACK_ENDS)

    @property
    def has_mpi(self) -> bool:
        """Whether it runs on several ranks."""
        return STUBS not in self.mpi


def programs() -> dict[str, Path]:
    """Programs of LAMMPS in this environment and on PATH, by a name for people."""
    own = Path(sys.executable).parent
    found: dict[str, Path] = {}
    for folder in (str(own), *os.get_exec_path()):
        for name in NAMES:
            program = shutil.which(name, path=folder)
            if program and not any(os.path.samefile(program, other) for other in found.values()):
                found[name if Path(folder) == own else program] = Path(program)
    return found


def read_build(text: str) -> Build | None:
    """The build that `lmp -h` describes; None if the text is not from LAMMPS."""
    version = VERSION.search(text)
    if version is None or version[2] not in MONTHS:
        return None
    packages = PACKAGES.search(text)
    back_end = BACK_END.search(text)
    kokkos_version = KOKKOS_VERSION.search(text)
    kokkos = back_end[1].strip() if back_end else ""
    if kokkos and kokkos_version:
        kokkos += f" ({kokkos_version[1].strip()})"
    return Build(
        version=int(version[3]) * 10000 + (MONTHS.index(version[2]) + 1) * 100 + int(version[1]),
        packages=frozenset(packages[1].split() if packages else ()),
        kokkos=kokkos,
        mpi=_mpi(text),
        has_dispersion=f" {DISPERSION} " in f" {' '.join(text.split())} ",
    )


def _mpi(text: str) -> str:
    """Name and version of the MPI library: MPICH prints its version after another colon."""
    line = MPI.search(text)
    if line is None:
        return "an unknown MPI library"
    words = line[1].replace("Version:", " ").split(",")[0]
    return " ".join(words.split())
