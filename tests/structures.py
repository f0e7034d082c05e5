"""Named structures of H, C, N, O and Mg that tests share: ordinary ones and corner cases.

Each call builds a new structure, so a test may change it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc100, molecule, surface

ELEMENTS = ("H", "C", "N", "O", "Mg")
MGO_LATTICE = 4.21
"""Lattice constant of MgO, A."""


def rattled_bulk() -> Atoms:
    """8 atoms of MgO, cubic cell, displaced by about 0.1 A."""
    atoms = bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def magnesia(repeats: int = 2, rattle: float = 0.05) -> Atoms:
    """8 atoms of MgO in each of repeats**3 cubic cells, displaced by about `rattle`, A."""
    atoms = bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True).repeat(repeats)
    atoms.rattle(rattle, seed=7)
    return atoms


def adsorbate() -> Atoms:
    """CO above a magnesium atom of MgO(100), 66 atoms, periodic; the CO comes last."""
    crystal = bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True)
    layers = surface(crystal, (1, 0, 0), 2, vacuum=7.0, periodic=True) * (2, 2, 1)
    layers.rattle(0.05, seed=3)
    top = max((atom for atom in layers if atom.symbol == "Mg"), key=lambda atom: atom.z)
    heights = np.array([[0, 0, 2.5], [0, 0, 3.63]])
    return layers + Atoms("CO", positions=top.position + heights)


def waters(n: int, spacing: float = 3.0, seed: int = 1) -> Atoms:
    """Cluster of n molecules, turned at random, on a grid."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(n ** (1 / 3)))
    cluster = Atoms()
    for index in range(n):
        water = molecule("H2O")
        water.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        water.translate(spacing * np.array(np.unravel_index(index, (side, side, side))))
        cluster += water
    return cluster


def triclinic() -> Atoms:
    """4 atoms of four elements in a skewed cell, some of them outside it."""
    cell = [[4.3, 0.3, -0.2], [1.1, 4.1, 0.4], [-0.9, 0.8, 4.6]]
    positions = [[0.1, 0.2, 0.3], [2.3, 0.4, 1.9], [1.0, 2.6, 5.2], [-2.1, 2.0, 2.9]]
    return Atoms("MgOCH", positions=positions, cell=cell, pbc=True)


def tiny_cell() -> Atoms:
    """Primitive cell of MgO, much smaller than the cutoff: atoms see images of themselves."""
    atoms = bulk("MgO", "rocksalt", a=MGO_LATTICE)
    atoms.positions[1] += [0.05, -0.08, 0.03]
    return atoms


def left_handed() -> Atoms:
    """The triclinic structure with two lattice vectors exchanged: a left-handed cell."""
    atoms = triclinic()
    atoms.set_cell(atoms.cell[[1, 0, 2]], scale_atoms=False)
    return atoms


def slab() -> Atoms:
    """CO on MgO(100), periodic in two directions, with a lattice vector along the third."""
    layers = fcc100("Mg", (1, 1, 2), a=MGO_LATTICE, vacuum=6.0)
    oxygen = layers.copy()
    oxygen.symbols[:] = "O"
    oxygen.positions += [MGO_LATTICE / 8**0.5, MGO_LATTICE / 8**0.5, 0]
    oxygen.positions[:, 2] += 0.1
    atoms = (
        layers
        + oxygen
        + Atoms("CO", positions=layers.positions[1] + [[0.1, 0.2, 2.3], [0.3, 0.1, 3.4]])
    )
    atoms.pbc = (True, True, False)
    return atoms


def wire() -> Atoms:
    """A chain periodic in one direction only; the other lattice vectors are zero."""
    return Atoms(
        "OMgC",
        positions=[[0, 0, 0], [0.3, 1.7, 0.2], [1.4, 0.2, 2.2]],
        cell=[0, 0, 3.9],
        pbc=(False, False, True),
    )


def water_cluster() -> Atoms:
    """Three water molecules, no cell."""
    first = molecule("H2O")
    cluster = first.copy()
    for shift, angle in (([2.8, 0.3, 0.1], 70), ([0.4, 2.9, -0.3], 160)):
        other = first.copy()
        other.rotate(angle, "x")
        other.translate(shift)
        cluster += other
    cluster.pbc = False
    return cluster


def close_contacts() -> Atoms:
    """Four atoms far inside each other's radii, where the pair repulsion acts."""
    return Atoms("OCHMg", positions=[[0, 0, 0], [0.7, 0.1, 0], [0.2, 0.75, 0.1], [0.1, 0.2, 1.5]])


def far_apart() -> Atoms:
    """A gas without any pair within a cutoff."""
    return Atoms("OHMg", positions=[[0, 0, 0], [40, 0, 0], [0, 40, 0]])


def one_atom() -> Atoms:
    """One oxygen atom, no cell."""
    return Atoms("O", positions=[[0.3, 0.1, 0.2]])


def no_atoms() -> Atoms:
    """Nothing at all."""
    return Atoms()


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    build.__name__: build
    for build in (
        rattled_bulk,
        triclinic,
        tiny_cell,
        left_handed,
        slab,
        wire,
        water_cluster,
        close_contacts,
        far_apart,
        one_atom,
        no_atoms,
    )
}
