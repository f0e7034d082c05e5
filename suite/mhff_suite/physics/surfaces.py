"""Slabs of rock salt (100): surface energies, molecules above them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc100
from ase.units import J, m

from mhff_suite.physics.equation_of_state import equation_of_state
from mhff_suite.physics.relaxation import relaxed
from mhff_suite.potential import Potential, energies
from mhff_suite.protocol import LeftOutError

LATTICE_CONSTANT = 4.21
"""MgO's, A."""
VACUUM = 9.0
"""On each side, A."""
J_PER_M2 = J / m**2
"""eV/A^2."""


@dataclass(frozen=True)
class RockSalt:
    """A crystal in the rock salt structure at its own lattice constant."""

    formula: str
    a: float
    """A."""
    energy: float
    """eV per formula unit."""


def rock_salt(potential: Potential, formula: str, a: float) -> RockSalt | None:
    """The crystal at the potential's minimum near this lattice constant, or None."""
    crystal = bulk(formula, "rocksalt", a=a)
    equation = equation_of_state(potential, crystal)
    if equation is None:
        return None
    own = float((8 * equation.volume) ** (1 / 3))  # four formula units of two atoms
    (energy,) = energies(potential, [bulk(formula, "rocksalt", a=own)])
    return RockSalt(formula, own, float(energy))


def magnesia(potential: Potential) -> RockSalt:
    """MgO at the potential's minimum; raises LeftOutError if there is none."""
    found = rock_salt(potential, "MgO", LATTICE_CONSTANT)
    if found is None:
        raise LeftOutError("MgO has no minimum near its lattice constant with this head")
    return found


def slab(crystal: RockSalt, size: tuple[int, int], layers: int) -> Atoms:
    """A (100) slab with `size` cations along its sides in each layer."""
    first, second = bulk(crystal.formula, "rocksalt", a=crystal.a).get_chemical_symbols()
    cations = fcc100(first, (*size, layers), a=crystal.a, periodic=True, vacuum=VACUUM)
    anions = cations.copy()
    anions.symbols[:] = second
    half = crystal.a / np.sqrt(8)
    anions.translate([half, half, 0.0])
    made = cations + anions
    made.wrap()
    return Atoms(made.symbols, made.positions, cell=made.cell, pbc=True)


def relaxed_slab(
    potential: Potential, crystal: RockSalt, size: tuple[int, int], layers: int
) -> Atoms:
    """See `slab` and `relaxed`; raises LeftOutError if the slab has no minimum."""
    found = relaxed(potential, slab(crystal, size, layers))
    if found is None:
        raise LeftOutError(f"the slab of {crystal.formula} has no minimum with this head")
    return found


def surface_energy(potential: Potential, crystal: RockSalt, layers: int) -> float:
    """Energy of the relaxed (100) surface, J/m^2; raises LeftOutError if there is none."""
    found = relaxed_slab(potential, crystal, (1, 1), layers)
    area = float(np.linalg.norm(np.cross(found.cell[0], found.cell[1])))
    excess = found.get_potential_energy() - len(found) / 2 * crystal.energy
    return float(excess / (2 * area) / J_PER_M2)


def above(base: Atoms, molecule: Atoms, place: np.ndarray, height: float) -> Atoms:
    """A slab with a molecule, whose first atom is at this height above a place on its top."""
    top = base.positions[:, 2].max()
    moved = molecule.copy()
    moved.translate(np.array([place[0], place[1], top + height]) - moved.positions[0])
    whole = base + moved
    return Atoms(whole.symbols, whole.positions, cell=base.cell, pbc=True)
