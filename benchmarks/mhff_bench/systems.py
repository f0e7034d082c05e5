"""The systems that are measured, of any size that their pattern allows.

ASE is imported where a system is built, because the command line lists the systems without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mhff.errors import MHFFError, listing

if TYPE_CHECKING:
    from ase import Atoms

LATTICE_CONSTANT = 4.21
"""Lattice constant of MgO, A."""
DISPLACEMENT = 0.05
"""Standard deviation of the displacements, A: forces as in a simulation, no symmetry."""
SLAB_CELLS = 2
"""Thickness of the slab, lattice constants."""
VACUUM = 8.0
"""Vacuum on each side of the slab, A."""
WATER_VOLUME = 29.9
"""Volume of a water molecule at 300 K, A^3."""


@dataclass(frozen=True)
class System:
    """A kind of system: `build(m)` has m times `multiple` atoms."""

    name: str
    multiple: int
    build: Callable[[int], Atoms]

    def atoms(self, n_atoms: int) -> Atoms:
        """The system with this number of atoms; raises MHFFError if there is none."""
        if n_atoms < self.multiple or n_atoms % self.multiple:
            nearest = max(1, round(n_atoms / self.multiple)) * self.multiple
            raise MHFFError(
                f"the system '{self.name}' comes in multiples of {self.multiple} atoms, got "
                f"{n_atoms}; take {nearest}"
            )
        return self.build(n_atoms // self.multiple)


def factors(n: int, parts: int) -> tuple[int, ...]:
    """The `parts` factors of n that are nearest to each other, the largest first."""
    if parts == 1:
        return (n,)
    first = next(d for d in range(n, 0, -1) if n % d == 0 and d**parts <= n)
    return tuple(sorted((first, *factors(n // first, parts - 1)), reverse=True))


def magnesia(cells: int) -> Atoms:
    """MgO in the rock salt structure, periodic."""
    from ase.build import bulk

    atoms = bulk("MgO", "rocksalt", a=LATTICE_CONSTANT, cubic=True) * factors(cells, 3)
    atoms.rattle(DISPLACEMENT, seed=1)
    return atoms


def co_on_magnesia(cells: int) -> Atoms:
    """MgO(100), two lattice constants thick, CO on every second Mg of one side; periodic."""
    from ase.build import add_adsorbate, bulk, molecule

    slab = bulk("MgO", "rocksalt", a=LATTICE_CONSTANT, cubic=True) * (1, 1, SLAB_CELLS)
    top = max(
        (atom for atom in slab if atom.symbol == "Mg"),
        key=lambda atom: (round(atom.z, 3), -atom.x, -atom.y),
    )
    add_adsorbate(slab, molecule("CO"), 2.5, tuple(top.position[:2]), mol_index=1)
    slab.info.clear()  # ASE's notes about the adsorbates are not needed
    slab *= (*factors(cells, 2), 1)
    slab.center(VACUUM, axis=2)
    slab.pbc = True
    slab.rattle(DISPLACEMENT, seed=1)
    return slab


def water(molecules: int) -> Atoms:
    """Water at its density, molecules turned at random on the points of a grid; periodic."""
    import numpy as np
    from ase import Atoms
    from ase.build import molecule

    rng = np.random.default_rng(1)
    counts = np.array(factors(molecules, 3))
    spacing = (WATER_VOLUME) ** (1 / 3)
    one = molecule("H2O")
    one.positions -= one.get_center_of_mass()
    box = Atoms(cell=np.diag(counts * spacing), pbc=True)
    for point in np.ndindex(*counts):
        turned = one.copy()
        turned.rotate(rng.uniform(0, 360), rng.normal(size=3))
        turned.translate((np.array(point) + 0.5) * spacing)
        box += turned
    box.rattle(DISPLACEMENT / 2, seed=1)
    return box


SYSTEMS = {
    system.name: system
    for system in (
        System("mgo", 8, magnesia),
        System("co-on-mgo", 8 * SLAB_CELLS + 2, co_on_magnesia),
        System("water", 3, water),
    )
}
DEFAULT_SIZES = {
    "mgo": (8, 64, 216, 512, 1000),
    "co-on-mgo": (18, 72, 288, 648),
    "water": (24, 192, 648, 1536),
}


def find_system(name: str) -> System:
    """The system of a name; raises MHFFError naming those that exist."""
    if name not in SYSTEMS:
        raise MHFFError(f"unknown system '{name}': choose one of {listing(SYSTEMS)}")
    return SYSTEMS[name]
