"""Which LAMMPS an environment gets, and what happens where KOKKOS cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import build_lammps
import pytest
from lammps_build.environment import BuildError, Environment, reason_without_kokkos
from lammps_build.linking import Lammps
from lammps_build.recipe import KOKKOS, PLAIN, Recipe

Cached = Callable[[Recipe], Lammps]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Recipes that would have been built; no program is on PATH."""
    recipes: list[Recipe] = []

    def build(environment: Environment, cache: Path, source: object, recipe: Recipe) -> Path:
        recipes.append(recipe)
        return cache / f"lammps-20260704-{recipe.cache_tag(environment)}"

    monkeypatch.setattr(build_lammps, "build_lammps", build)
    monkeypatch.setattr(build_lammps, "programs_on_path", lambda environment: [])
    return recipes


@pytest.mark.parametrize("asked", [PLAIN, KOKKOS])
def test_a_cached_build_with_kokkos_serves_both(
    environment: Environment, cached: Cached, built: list[Recipe], tmp_path: Path, asked: Recipe
) -> None:
    for recipe in (PLAIN, KOKKOS):
        cached(recipe)
    assert build_lammps.find_lammps(environment, tmp_path / "cache", None, asked).kokkos
    assert not built


def test_a_cached_plain_build_serves_only_as_one(
    environment: Environment, cached: Cached, built: list[Recipe], tmp_path: Path
) -> None:
    cached(PLAIN)
    assert not build_lammps.find_lammps(environment, tmp_path / "cache", None, PLAIN).kokkos
    assert not built
    assert build_lammps.find_lammps(environment, tmp_path / "cache", None, KOKKOS).kokkos
    assert built == [KOKKOS]


@pytest.fixture
def provided(monkeypatch: pytest.MonkeyPatch, environment: Environment) -> list[Recipe]:
    """Recipes that the environment was provided with; without KOKKOS, as on other distributions."""
    recipes: list[Recipe] = []

    def provide(prefix: Path, cache: Path, source: object, recipe: Recipe) -> None:
        if recipe.kokkos:
            raise BuildError("expected apt-get, found none on PATH: do without.")
        recipes.append(recipe)

    monkeypatch.setattr(build_lammps, "provide", provide)
    return recipes


def test_without_kokkos_the_plain_build_is_made_and_the_reason_kept(
    environment: Environment,
    provided: list[Recipe],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    build_lammps.provide_with_kokkos_if_possible(environment.prefix, tmp_path, None)
    assert provided == [PLAIN]
    assert "WARNING: tests that need KOKKOS will be left out" in capsys.readouterr().out
    reason = "expected apt-get, found none on PATH: do without."
    assert reason_without_kokkos(environment.prefix) == reason


def test_asking_for_kokkos_alone_does_not_go_on_without(
    environment: Environment, provided: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["build_lammps.py", "--kokkos", "--prefix", str(environment.prefix)]
    monkeypatch.setattr("sys.argv", arguments)
    assert build_lammps.main() == 2
    assert not provided


def test_why_there_is_no_kokkos(environment: Environment) -> None:
    assert "run `make lammps-kokkos`" in str(reason_without_kokkos(environment.prefix))
    (environment.bin / "lmp-kokkos").touch()
    assert reason_without_kokkos(environment.prefix) is None
