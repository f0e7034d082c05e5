"""A LAMMPS in an environment: launchers, links and pip's record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lammps_build.environment import BuildError, Environment
from lammps_build.linking import Lammps, describe_program, is_linked, link
from lammps_build.recipe import KOKKOS, PLAIN, Recipe

Cached = Callable[[Recipe], Lammps]


def test_a_build_with_kokkos_has_two_names(environment: Environment, cached: Cached) -> None:
    lammps = cached(KOKKOS)
    assert not is_linked(lammps, environment)
    link(lammps, environment, environment.site, environment.bin / "lmp")
    assert is_linked(lammps, environment)
    assert (environment.bin / "lmp-kokkos").resolve() == environment.bin / "lmp"
    package = environment.site / "lammps"
    assert (package / "libkokkoscore.so.5.2").read_text() == "libkokkoscore.so.5.2"
    (record,) = environment.site.glob("lammps-2026.7.4.dist-info/RECORD")
    assert "../../bin/lmp-kokkos,," in record.read_text().splitlines()


def test_a_plain_build_replaces_it(environment: Environment, cached: Cached) -> None:
    for recipe in (KOKKOS, PLAIN):
        link(cached(recipe), environment, environment.site, environment.bin / "lmp")
    assert not (environment.bin / "lmp-kokkos").is_symlink()
    assert not (environment.site / "lammps" / "libkokkoscore.so.5.2").is_symlink()


def test_a_link_to_another_environments_launcher_is_not_followed(
    environment: Environment, cached: Cached, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    (environment.bin / "lmp").symlink_to(theirs)
    link(cached(KOKKOS), environment, environment.site, environment.bin / "lmp")
    assert theirs.read_text() == "theirs"


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("Simulator - 4 Jul 2026\nML-IAP PYTHON", "it was built without KOKKOS"),
        ("Simulator - 22 Jul 2025\nML-IAP PYTHON KOKKOS", "its version is 22 Jul 2025, older"),
        ("Simulator - 4 Jul 2026\nML-IAP KOKKOS", "it was built without PYTHON"),
        ("Simulator - 4 Jul 2026\nML-IAP PYTHON KOKKOS", "it is a script"),
    ],
)
def test_programs_on_path_say_what_they_lack(tmp_path: Path, description: str, reason: str) -> None:
    program = tmp_path / "lmp"
    program.write_text(f"#!/bin/sh\necho '{description}'\n")
    program.chmod(0o755)
    with pytest.raises(BuildError, match=reason):
        describe_program(program, kokkos=True)
