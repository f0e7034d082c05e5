"""Small molecules and crystals of given elements, with atoms off their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase import Atoms
from ase.build import bulk, molecule
from ase.collections import dcdft
from ase.data import atomic_numbers, covalent_radii, g2
from ase.symbols import string2symbols

SHAKE = 0.08
"""Standard deviation of the displacements, A."""
LATTICE_CONSTANT_OF_MGO = 4.21
LONG_BOND = 1.2
"""Distance of a pair, in units of the sum of covalent radii."""
MAX_ATOMS = 10
MIN_ATOMS = 3
MOLECULES: dict[str, Any] = g2.data


def molecules(elements: Sequence[str], number: int) -> list[Atoms]:
    """Molecules of these elements, those of the most elements first; pairs of atoms if need be."""
    sizes = {
        name: string2symbols(entry["symbols"])
        for name, entry in MOLECULES.items()
        if set(string2symbols(entry["symbols"])) <= set(elements)
    }
    able = [name for name, symbols in sizes.items() if MIN_ATOMS <= len(symbols) <= MAX_ATOMS]
    able.sort(key=lambda name: (-len(set(sizes[name])), len(sizes[name]), name))
    found = [molecule(name) for name in able[:number]]
    if not found:
        found = [_pair(elements[0], elements[-1])]
    return [_shaken(atoms, seed) for seed, atoms in enumerate(found)]


def crystals(elements: Sequence[str], number: int) -> list[Atoms]:
    """Crystals of these elements: MgO if it can be, then elements, evenly chosen."""
    found = []
    if {"Mg", "O"} <= set(elements):
        found.append(bulk("MgO", "rocksalt", a=LATTICE_CONSTANT_OF_MGO, cubic=True))
    able = [symbol for symbol in dcdft.names if symbol in elements]
    able = able[:: max(1, len(able) // number)]
    for symbol in able[: number - len(found)]:
        atoms = dcdft[symbol]
        atoms.set_initial_magnetic_moments(None)
        found.append(atoms)
    return [_shaken(atoms, seed) for seed, atoms in enumerate(found)]


def _pair(first: str, second: str) -> Atoms:
    """Two atoms somewhat farther apart than a bond."""
    radii = [covalent_radii[atomic_numbers[symbol]] for symbol in (first, second)]
    return Atoms([first, second], [[0.0, 0.0, 0.0], [0.0, 0.0, LONG_BOND * sum(radii)]])


def _shaken(atoms: Atoms, seed: int) -> Atoms:
    shaken = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    shaken.rattle(SHAKE, seed=seed)
    return shaken
