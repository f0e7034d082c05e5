"""Write the data files of these examples."""

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule, surface
from ase.io import write

MGO_LATTICE = 4.21
"""Lattice constant of MgO, A."""
WATER_SPACING = 3.104
"""Edge of the cube that a molecule of liquid water occupies, A (1 g/cm^3)."""


def write_data(name: str, atoms: Atoms, types: list[str]) -> None:
    """Write a data file with masses; `types`: chemical symbols of the atom types, in order."""
    write(name, atoms, format="lammps-data", specorder=types, masses=True, atom_style="atomic")


def water(n_side: int) -> Atoms:
    """Water molecules on a cubic grid, turned at random, at the density of the liquid."""
    rng = np.random.default_rng(0)
    liquid = Atoms(cell=[n_side * WATER_SPACING] * 3, pbc=True)
    for place in np.ndindex(n_side, n_side, n_side):
        one = molecule("H2O")
        one.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        one.translate(WATER_SPACING * (np.array(place) + 0.5) - one.get_center_of_mass())
        liquid += one
    return liquid


def main() -> None:
    """Bulk MgO of 64 atoms, CO above a magnesium atom of MgO(100), and 64 water molecules."""
    crystal = bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True)
    write_data("mgo.data", crystal * (2, 2, 2), ["Mg", "O"])
    slab = surface(crystal, (1, 0, 0), 2, vacuum=7.0, periodic=True) * (2, 2, 1)
    top = max((atom for atom in slab if atom.symbol == "Mg"), key=lambda atom: atom.z)
    monoxide = Atoms("CO", positions=[(top.x, top.y, top.z + 2.5), (top.x, top.y, top.z + 3.63)])
    write_data("co-on-mgo.data", slab + monoxide, ["Mg", "O", "C"])
    write_data("water.data", water(4), ["O", "H"])


if __name__ == "__main__":
    main()
