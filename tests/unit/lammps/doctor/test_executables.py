"""Reading what LAMMPS says of itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lammps_help import KOKKOS, PLAIN

from mhff_lammps.doctor import executables
from mhff_lammps.doctor.executables import Build, programs, read_build


def test_a_plain_build() -> None:
    packages = frozenset({"EXTRA-FIX", "ML-IAP", "ML-SNAP", "PYTHON"})
    assert read_build(PLAIN) == Build(20260704, packages, "", "MPICH 5.0.2", has_dispersion=True)


def test_a_build_with_kokkos_and_without_mpi() -> None:
    build = read_build(KOKKOS)
    assert build is not None
    assert (build.version, build.kokkos) == (20250722, "CUDA Serial (4.6.99)")
    assert not build.has_mpi
    assert not build.has_dispersion


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("MPI v3.1: Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4", "Open MPI v4.1.4"),
        ("MPI v3.1: Intel(R) MPI Library 2021.9", "Intel(R) MPI Library 2021.9"),
        ("", "an unknown MPI library"),
    ],
)
def test_names_of_mpi_libraries(line: str, name: str) -> None:
    build = read_build(PLAIN.replace("MPI v5.0: MPICH Version:      5.0.2", line))
    assert build is not None
    assert build.mpi == name


@pytest.mark.parametrize("text", ["", "hello", KOKKOS.replace("Jul", "Xyz")])
def test_other_programs(text: str) -> None:
    assert read_build(text) is None


def test_programs_are_found_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside Python by their names, elsewhere on PATH by their paths; links count once."""
    own = tmp_path / "own"
    other = tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
        (folder / "lmp").write_text("#!/bin/sh\n")
        (folder / "lmp").chmod(0o755)
    (other / "lmp_mpi").symlink_to(other / "lmp")
    monkeypatch.setattr(sys, "executable", str(own / "python"))
    monkeypatch.setattr(executables.os, "get_exec_path", lambda: [str(own), str(other), "/none"])
    assert programs() == {"lmp": own / "lmp", str(other / "lmp"): other / "lmp"}
