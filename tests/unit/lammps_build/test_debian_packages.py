"""Which versions of LAMMPS and Kokkos are taken from Debian, and what is mended in Kokkos."""

from __future__ import annotations

from pathlib import Path

import pytest
from lammps_build.debian_kokkos import choose_packages, mend_cmake_files
from lammps_build.debian_source import choose_version
from lammps_build.environment import BuildError

KOKKOS = """\
Package: libkokkos-dev
Version: {version}
Depends: libc6 (>= 2.38), libkokkos{short} (= {version}), libhwloc-dev
"""


def test_the_tested_lammps_is_taken_where_there_are_newer_ones() -> None:
    versions = ["20260910+dfsg-1", "20260704+dfsg-2", "1:20250722-1"]
    assert choose_version(versions) == "20260704+dfsg-2"


def test_a_newer_lammps_is_taken_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert choose_version(["20250722-1", "20260910+dfsg-1"]) == "20260910+dfsg-1"
    assert "WARNING: expected LAMMPS 20260704" in capsys.readouterr().out


@pytest.mark.parametrize(("versions", "found"), [(["20250722-1"], "20250722-1"), ([], "none")])
def test_an_older_lammps_is_refused(versions: list[str], found: str) -> None:
    with pytest.raises(BuildError, match=f"expected LAMMPS 20260704 .*, found {found}"):
        choose_version(versions)


def test_packages_of_kokkos_are_named_with_their_version(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = KOKKOS.format(version="5.2.2-2", short="5.2")
    assert choose_packages(text) == ["libkokkos-dev=5.2.2-2", "libkokkos5.2=5.2.2-2"]
    assert not capsys.readouterr().out


def test_another_minor_version_of_kokkos_is_taken_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = KOKKOS.format(version="5.3.0-1", short="5.3")
    assert choose_packages(text) == ["libkokkos-dev=5.3.0-1", "libkokkos5.3=5.3.0-1"]
    assert "WARNING: expected Kokkos 5.2.2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "found"),
    [(KOKKOS.format(version="6.0-1", short="6.0"), "6.0-1"), ("", "none")],
)
def test_another_major_version_of_kokkos_is_refused(text: str, found: str) -> None:
    with pytest.raises(BuildError, match=f"expected Kokkos 5.2.2 .*, found {found}: .*make lammps"):
        choose_packages(text)


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    folder = tmp_path / "lib"
    (folder / "cmake" / "Kokkos").mkdir(parents=True)
    return folder


def test_cmake_files_name_the_unpacked_headers(libraries: Path) -> None:
    targets = libraries / "cmake" / "Kokkos" / "KokkosTargets.cmake"
    targets.write_text('INCLUDE "/usr/include/kokkos"\nOTHER "/usr/include"\n')
    mend_cmake_files(libraries, Path("/root-of-packages"))
    assert targets.read_text() == (
        'INCLUDE "/root-of-packages/usr/include/kokkos"\nOTHER "/usr/include"\n'
    )
    assert (libraries / "libkokkossimd.a").read_bytes() == b"!<arch>\n"


def test_cmake_files_of_another_form_are_refused(libraries: Path) -> None:
    (libraries / "cmake" / "Kokkos" / "KokkosTargets.cmake").write_text("other")
    with pytest.raises(BuildError, match=r"expected /usr/include/kokkos in KokkosTargets\.cmake"):
        mend_cmake_files(libraries, Path("/root-of-packages"))
