"""Reference numbers against a second source, and readers of files that other packages ship."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from ase.data import chemical_symbols
from ase.data.cohesive_energies import cohesive_energy_kittel2005
from suite_settings import assert_balanced

from mhff_suite.data import MATCALC, PSI4, DataFolders
from mhff_suite.references.ice import POLYMORPHS, build, parse
from mhff_suite.references.matpes import elements
from mhff_suite.references.psi4 import Database, complexes
from mhff_suite.tasks import co_on_mgo, mgo_surface
from mhff_suite.tasks.ice import n_whole

EV_IN_KJ_PER_MOL = 96.485332
SIZES = {"S66": 66, "S66by8": 528, "A24": 24, "HBC6": 118, "JSCH": 124, "SSI": 3380}
FIRST_DMC = {"Ih": -605.0, "II": -609.0, "VIII": -575.0}
"""Lattice energies, meV per molecule, of B. Santra et al., Phys. Rev. Lett. 107, 185701 (2011)."""
MEASURED = {"Ih": -58.82, "II": -58.77, "IX": -58.5, "VIII": -55.3}
"""Lattice energies, kJ/mol, from experiments: E. Whalley, J. Chem. Phys. 81, 4087 (1984)."""


def test_lattice_energies_of_ice_agree_with_older_ones() -> None:
    found = {each.name: each.dmc for each in POLYMORPHS}
    for name, energy in FIRST_DMC.items():
        assert found[name] == pytest.approx(energy * 1e-3 * EV_IN_KJ_PER_MOL, abs=1.5), name
    for name, energy in MEASURED.items():
        assert found[name] == pytest.approx(energy, abs=1.0), name


@pytest.mark.parametrize("name", ["Ih", "II", "VI"])
def test_polymorphs_consist_of_whole_molecules_and_repeat(name: str) -> None:
    polymorph = next(each for each in POLYMORPHS if each.name == name)
    first = build(polymorph)
    assert n_whole(first) == len(first) // 3
    np.testing.assert_array_equal(first.positions, build(polymorph).positions)


def test_genice_is_not_to_change_the_users_random_numbers() -> None:
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    build(POLYMORPHS[0])
    assert np.random.random() == expected


def test_a_structure_of_genice_is_read() -> None:
    found = parse("#\n1\n%PBC\n O 1.0 2.0 -3.0\n\nVector1 4 0 0\nVector2 0 5 0\nVector3 0 0 6\n")
    assert found.get_chemical_formula() == "O"
    np.testing.assert_array_equal(found.cell.lengths(), [4, 5, 6])


def test_co_binds_to_mgo_as_in_an_older_calculation() -> None:
    # A. D. Boese, J. Sauer, Phys. Chem. Chem. Phys. 15, 16481 (2013): 21.0 +- 1.0 kJ/mol
    assert pytest.approx(-21.0 / EV_IN_KJ_PER_MOL, abs=0.03) == co_on_mgo.EXPECTED


def test_the_surface_energy_of_mgo_is_in_the_range_of_experiments() -> None:
    assert 1.04 <= mgo_surface.EXPECTED <= 1.20  # cited by Alfe and Gillan


def test_elements_of_matpes_are_read(tmp_path: Path) -> None:
    site = {"species": [{"element": "Mg", "occu": 1}], "abc": [0.5, 0.0, 0.0]}
    entry = {
        "structure": {"lattice": {"matrix": np.diag([3.0, 4.0, 5.0]).tolist()}, "sites": [site]},
        "energy_per_atom": -1.5,
        "energy_atomic": -0.25,
    }
    path = tmp_path / "MatPES-PBE-Element-Refs.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"Mg": entry}).encode()))
    (found,) = elements(tmp_path, "PBE")
    assert (found.symbol, found.cohesive_energy) == ("Mg", -1.25)
    np.testing.assert_allclose(found.atoms.positions, [[1.5, 0, 0]])


@pytest.mark.parametrize("functional", ["PBE", "r2SCAN"])
def test_cohesive_energies_agree_with_experiments(
    functional: str, suite_data: tuple[Path, ...]
) -> None:
    folder = DataFolders(suite_data).find(MATCALC)
    if folder is None:
        pytest.skip("no source distribution of matcalc on this machine")
    found = {each.symbol: -each.cohesive_energy for each in elements(folder, functional)}
    measured = dict(zip(chemical_symbols, cohesive_energy_kittel2005, strict=False))
    both = [symbol for symbol in found if measured.get(symbol)]
    off = np.array([found[symbol] - measured[symbol] for symbol in both])
    assert len(both) > 60
    assert np.median(np.abs(off)) < 0.25


@pytest.mark.parametrize("module", SIZES)
def test_complexes_of_psi4_are_all_read(module: str, suite_data: tuple[Path, ...]) -> None:
    folder = DataFolders(suite_data).find(PSI4)
    if folder is None:
        pytest.skip("no psi4-data on this machine")
    found = complexes(folder / f"{module}.py")
    assert len(found) == SIZES[module]
    for each in found:
        assert len(each.whole) == sum(len(part) for part in each.parts)


@pytest.mark.parametrize("module", ["HTBH", "NHTBH"])
def test_barriers_of_psi4_conserve_atoms_and_charge(
    module: str, suite_data: tuple[Path, ...]
) -> None:
    folder = DataFolders(suite_data).find(PSI4)
    if folder is None:
        pytest.skip("no psi4-data on this machine")
    reactions = Database(folder / f"{module}.py").reactions()
    assert len(reactions) == 38
    for each in reactions:
        assert_balanced(each)
