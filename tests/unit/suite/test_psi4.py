"""Files of psi4's databases are read without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mhff.errors import MHFFError
from mhff_suite.references.psi4 import Database, complexes

COMPLEXES = '''
import qcdb
raise SystemExit("this file was run")
dbse = 'TWO'
BIND = {}
BIND_OLD = {}
BIND_OLD['%s-%s' % (dbse, 'pair')] = -9.0
BIND_NEW = {}
BIND_NEW['%s-%s' % (dbse, 'pair')] = -1.25
BIND = BIND_NEW
GEOS = {}
GEOS['%s-%s-dimer' % (dbse, 'pair')] = qcdb.Molecule("""
1 2
H  0.0 0.0 0.0
--
0 1
HE 0.0 0.0 2.0
units bohr
""")
'''
REACTIONS = '''
dbse = 'R'
BIND['%s-%s' % (dbse, 1)] = 5.7
ACTV['%s-%s' % (dbse, 1)] = ['%s-%s-reagent' % (dbse, 'H'),
                             '%s-%s-reagent' % (dbse, 'H2ts')]
RXNM['%s-%s' % (dbse, 1)] = dict(zip(ACTV['%s-%s' % (dbse, 1)], [-2, +1]))
GEOS['%s-%s-reagent' % (dbse, 'H')] = qcdb.Molecule("""
0 2
H 0 0 0
""")
GEOS['%s-%s-reagent' % (dbse, 'H2ts')] = qcdb.Molecule("""
0 3
H 0 0 0
H 0 0 1
""")
'''


def write(folder: Path, text: str) -> Path:
    path = folder / "file.py"
    path.write_text(text)
    return path


def test_a_complex_has_its_states_units_and_the_chosen_energy(tmp_path: Path) -> None:
    (found,) = complexes(write(tmp_path, COMPLEXES))
    assert (found.name, found.reference, found.is_charged) == ("pair", -1.25, True)
    assert found.whole.get_chemical_symbols() == ["H", "He"]
    assert found.whole.get_distance(0, 1) == pytest.approx(2 * 0.529177, rel=1e-5)
    assert found.whole.info == {"charge": 1, "spin": 2}


def test_a_reaction_has_species_and_coefficients_in_order(tmp_path: Path) -> None:
    (found,) = Database(write(tmp_path, REACTIONS)).reactions()
    assert (found.coefficients, found.reference) == ((-2, 1), 5.7)
    assert [atoms.info["spin"] for atoms in found.species] == [2, 3]


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match="is not a database of psi4: it does not assign dbse"):
        complexes(write(tmp_path, "x = 1\n"))
