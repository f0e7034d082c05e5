"""Alanine dipeptide in water, in OpenMM's own force fields, for tests of ML/MM systems."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from ase import Atoms
from openmm import app, unit
from openmm_runs import read, start

from mhff_openmm.adapter import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV

DIPEPTIDE = Path(__file__).parents[2] / "examples/openmm/alanine-dipeptide.pdb"
CUTOFF = 0.9 * unit.nanometer
BOXES = {
    "cube": 2.0 * np.eye(3),
    "skewed": np.array([[2.6, 0, 0], [0, 2.6, 0], [1.3, 1.3, 1.9]]),
}
"""Box vectors, nm."""
SUM_OF_PARTS = 1e-6
"""kJ/mol."""
SUM_OF_FORCES = 1e-5
"""kJ/mol/nm."""


class Solution(NamedTuple):
    """A molecule in water."""

    topology: app.Topology
    positions: np.ndarray
    """A, `[n, 3]`."""
    forcefield: app.ForceField
    solute: list[int]
    """Indices of the molecule's atoms."""

    def system(self, **options: Any) -> openmm.System:
        """The MM system, flexible if the options say nothing else."""
        flexible = {"constraints": None, "rigidWater": False, "nonbondedCutoff": CUTOFF}
        return self.forcefield.createSystem(self.topology, **flexible | options)

    def only(self, atoms: list[int]) -> Solution:
        """These atoms alone, in the same box."""
        everything = app.Modeller(self.topology, self.positions * unit.angstrom)
        everything.delete([atom for atom in self.topology.atoms() if atom.index not in set(atoms)])
        return self._replace(topology=everything.topology, positions=self.positions[atoms])

    def atoms(self, indices: list[int]) -> Atoms:
        """Some of the atoms for ASE, without a box."""
        elements = [atom.element for atom in self.topology.atoms()]
        symbols = [elements[index].symbol for index in indices]
        return Atoms(symbols, positions=self.positions[indices])

    def water(self, number: int) -> list[int]:
        """Indices of a water molecule's particles."""
        waters = [each for each in self.topology.residues() if each.name == "HOH"]
        return [atom.index for atom in waters[number].atoms()]


@cache
def solution(water: str = "tip3p", shape: str = "cube") -> Solution:
    """Alanine dipeptide in a box of about 2 nm; tests share it and do not change it."""
    pdb = app.PDBFile(str(DIPEPTIDE))
    forcefield = app.ForceField("amber14/protein.ff14SB.xml", f"amber14/{water}.xml")
    modeller = app.Modeller(pdb.topology, pdb.positions)
    box = [openmm.Vec3(*row) for row in BOXES[shape]] * unit.nanometer
    modeller.addSolvent(forcefield, model=water, boxVectors=box)
    positions = np.array(modeller.positions.value_in_unit(unit.angstrom))
    solute = list(range(pdb.topology.getNumAtoms()))
    return Solution(modeller.topology, positions, forcefield, solute)


def values(
    result: tuple[float, np.ndarray], atoms: list[int] | None = None, n_atoms: int | None = None
) -> np.ndarray:
    """Energy and forces (eV, A) as one array, kJ/mol and nm, so that parts can be added.

    `atoms`: the indices of the atoms that the forces act on, among `n_atoms`; None means all.
    """
    energy, forces = result
    spread = np.zeros((n_atoms or len(forces), 3))
    spread[slice(None) if atoms is None else atoms] = forces
    return KJ_PER_MOL_PER_EV * np.concatenate([[energy], ANGSTROM_PER_NM * spread.ravel()])


def values_in(context: openmm.Context) -> np.ndarray:
    """Energy and forces of a Context."""
    return values(read(context))


def values_of(system: openmm.System, positions: np.ndarray) -> np.ndarray:
    """Energy and forces of a System on the Reference platform."""
    return values_in(start(system, positions))


def assert_sum(got: np.ndarray, expected: np.ndarray) -> None:
    """Energies and forces that are sums of several engines' parts."""
    assert abs(got[0] - expected[0]) <= SUM_OF_PARTS
    assert np.abs(got[1:] - expected[1:]).max() <= SUM_OF_FORCES
