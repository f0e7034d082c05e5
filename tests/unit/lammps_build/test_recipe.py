"""What is built: the folder names of builds, styles that are left out, the mended exchange."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lammps_build.environment import BuildError, Environment
from lammps_build.recipe import KOKKOS, PLAIN, leave_out_styles, mend_exchange


def test_each_kind_of_build_has_a_folder_per_python(environment: Environment) -> None:
    other = replace(environment, abi="cpython-312", version="3.12")
    tags = [
        recipe.cache_tag(python) for recipe in (PLAIN, KOKKOS) for python in (environment, other)
    ]
    assert len(set(tags)) == 4
    assert PLAIN.cache_tag(environment).startswith("py3.11-")
    assert KOKKOS.cache_tag(environment).startswith("kokkos-py3.11-")


def test_only_wanted_styles_stay(tmp_path: Path) -> None:
    files = {
        "EXTRA-PAIR": ["pair_dispersion_d3.cpp", "pair_dispersion_d3.h", "d3_parameters.h"],
        "KOKKOS": ["kokkos.cpp", "pair_mliap_kokkos.cpp", "atom_vec_full_kokkos.h", "pairs.h"],
    }
    unwanted = {"EXTRA-PAIR": ["pair_nm.cpp"], "KOKKOS": ["pair_sw_kokkos.h", "bond_x_kokkos.cpp"]}
    for package, kept in files.items():
        folder = tmp_path / "src" / package
        folder.mkdir(parents=True)
        for name in [*kept, *unwanted[package]]:
            (folder / name).touch()
    leave_out_styles(tmp_path)
    for package, kept in files.items():
        assert sorted(path.name for path in (tmp_path / "src" / package).iterdir()) == sorted(kept)


EXCHANGE = "if (x == Host || pair->execution_space == HostKK) {}\n"


@pytest.fixture
def comm(tmp_path: Path) -> Path:
    """The file that is mended, empty."""
    file = tmp_path / "src" / "KOKKOS" / "comm_kokkos.cpp"
    file.parent.mkdir(parents=True)
    return file


def test_the_exchange_takes_the_path_of_gpu_builds(tmp_path: Path, comm: Path) -> None:
    comm.write_text(2 * EXCHANGE)
    mend_exchange(tmp_path)
    assert comm.read_text() == 2 * "if (x == Host) {}\n"


@pytest.mark.parametrize("places", [0, 1, 3])
def test_an_unknown_exchange_is_refused(tmp_path: Path, comm: Path, places: int) -> None:
    comm.write_text(places * EXCHANGE)
    with pytest.raises(BuildError, match=f"expected 2 places .*, found {places}: .*`make lammps`"):
        mend_exchange(tmp_path)
