"""Label the isolated atoms of a head: the E0s.

    python isolated_atoms.py {materials|surfaces|molecules} FOLDER

Writes FOLDER/isolated-HEAD.extxyz. Periodic heads: spin-paired as all their calculations are, in a
9 A box (needs GPAW); molecules: ground states (needs PySCF with pyscf-dispersion).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from frames import append_frame, labelled_frame
from levels import (
    FUNCTIONALS,
    MOLECULAR_LEVEL,
    molecular_energy,
    periodic_calculator,
    periodic_level,
)

UNPAIRED = {"H": 1, "C": 2, "N": 3, "O": 2, "Mg": 0}
"""Unpaired electrons of each element's ground state."""


def label(symbol: str, head: str) -> Atoms:
    """Frame of one atom."""
    if head in FUNCTIONALS:
        atom = Atoms(symbol, cell=[9.0, 9.2, 9.4], pbc=True)
        atom.center()
        atom.calc = periodic_calculator(head, maxiter=300)
        energy, level = atom.get_potential_energy(force_consistent=True), periodic_level(head)
    else:
        atom = Atoms(symbol, positions=np.zeros((1, 3)))
        energy, level = molecular_energy(atom, UNPAIRED[symbol])[0], MOLECULAR_LEVEL
    return labelled_frame(atom, head, level, "IsolatedAtom", energy, np.zeros((1, 3)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Label the isolated atoms of a head.")
    parser.add_argument("head", choices=[*FUNCTIONALS, "molecules"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    for symbol in UNPAIRED:
        frame = label(symbol, arguments.head)
        append_frame(arguments.folder / f"isolated-{arguments.head}.extxyz", frame)
        print(arguments.head, symbol, frame.info["REF_energy"], flush=True)


if __name__ == "__main__":
    main()
