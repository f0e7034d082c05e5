"""Write the data files of these examples."""

from ase import Atoms
from ase.build import bulk, surface
from ase.io import write

MGO_LATTICE = 4.21
"""Lattice constant of MgO, A."""


def write_data(name: str, atoms: Atoms, types: list[str]) -> None:
    """Write a data file with masses; `types`: chemical symbols of the atom types, in order."""
    write(name, atoms, format="lammps-data", specorder=types, masses=True, atom_style="atomic")


def main() -> None:
    """Bulk MgO of 64 atoms, and CO above a magnesium atom of MgO(100)."""
    crystal = bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True)
    write_data("mgo.data", crystal * (2, 2, 2), ["Mg", "O"])
    slab = surface(crystal, (1, 0, 0), 2, vacuum=7.0, periodic=True) * (2, 2, 1)
    top = max((atom for atom in slab if atom.symbol == "Mg"), key=lambda atom: atom.z)
    molecule = Atoms("CO", positions=[(top.x, top.y, top.z + 2.5), (top.x, top.y, top.z + 3.63)])
    write_data("co-on-mgo.data", slab + molecule, ["Mg", "O", "C"])


if __name__ == "__main__":
    main()
