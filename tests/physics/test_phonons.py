"""Phonons through phonopy: docs/ase.md as it stands, and force constants against displacements."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk
from phonopy.structure.atoms import PhonopyAtoms
from structures import MGO_LATTICE
from tolerances import Tolerance, assert_close

from mhff import MHFFCalculator

PAGE = (Path(__file__).parents[2] / "docs" / "ase.md").read_text()
DISPLACEMENT = 0.005
DISPLACED = Tolerance(0, 2e-3)
"""Frequencies from displacements of 0.005 A, THz."""
WAVE_VECTORS = np.array([[0, 0, 0], [0.5, 0.5, 0.0], [0.5, 0.5, 0.5], [0.1, 0.2, 0.0]])


@pytest.mark.slow
def test_the_scripts_of_the_page() -> None:
    blocks = re.findall(r"\n\n((?:    .*\n|\n(?=    ))+)", PAGE)
    script = "\n".join(re.sub(r"(?m)^    ", "", block) for block in blocks)
    found: dict = {}
    exec(script.replace('"mini", ', '"mini", form="eager", '), found)
    assert found["constants"].shape == (2, 8, 3, 3)
    frequencies = found["vibrations"].get_frequencies()
    assert np.abs(frequencies[:6]).max() < 30 < 1000 < frequencies[6:].real.min()
    heat_capacity = found["phonon"].thermal_properties.heat_capacity
    assert 5 < heat_capacity[0] < heat_capacity[2] < 6 * 8.315


def test_frequencies_are_those_of_displaced_supercells() -> None:
    crystal = bulk("MgO", "rocksalt", a=MGO_LATTICE)
    calc = MHFFCalculator("mini", head="materials", form="eager")
    cell = PhonopyAtoms(
        crystal.symbols, cell=crystal.cell[:], scaled_positions=crystal.get_scaled_positions()
    )

    def phonon():
        return phonopy.Phonopy(cell, 2 * np.eye(3, dtype=int), primitive_matrix=np.eye(3))

    def atoms_of(large) -> Atoms:
        return Atoms(
            large.symbols, cell=large.cell, scaled_positions=large.scaled_positions, pbc=True
        )

    exact, displaced = phonon(), phonon()
    supercell = atoms_of(exact.supercell)
    exact.force_constants = calc.get_force_constants(supercell, exact.primitive.p2s_map)
    displaced.generate_displacements(distance=DISPLACEMENT)
    displaced.forces = [
        calc.get_property("forces", atoms_of(large))
        for large in displaced.supercells_with_displacements
    ]
    displaced.produce_force_constants()
    frequencies = []
    for each in (exact, displaced):
        each.run_qpoints(WAVE_VECTORS)
        frequencies.append(each.qpoints.frequencies)
    assert frequencies[0].max() > 10
    assert_close(*frequencies, DISPLACED)
    assert_close(frequencies[0][0][:3], np.zeros(3), DISPLACED)
