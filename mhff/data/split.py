"""A split that depends on each structure alone, so that other structures never move it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

import numpy as np
from ase import Atoms

from mhff.data.reading import LabelledStructure

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")
DECIMALS = 4
"""Decimals of positions and cell, A, that count: writing and reading a file changes later ones."""


def fraction(atoms: Atoms) -> float:
    """A number in [0, 1): a hash of elements, positions, pbc and the periodic lattice vectors."""
    digest = hashlib.sha256(np.asarray(atoms.numbers, dtype="<i8").tobytes())
    digest.update(np.asarray(atoms.pbc, dtype=np.uint8).tobytes())
    for values in (atoms.positions, atoms.cell[:] * atoms.pbc[:, None]):
        digest.update(np.rint(values * 10**DECIMALS).astype("<i8").tobytes())
    return float(int.from_bytes(digest.digest()[:6], "big") / 2**48)


def part_of(atoms: Atoms, valid: float = 0.1, test: float = 0.1) -> Part:
    """The part of a structure, for the given fractions of validation and test structures.

    Labels and head do not count: one structure at two levels of theory belongs to one part.
    """
    place = fraction(atoms)
    if place < test:
        return "test"
    return "valid" if place < test + valid else "train"


def split(
    structures: Iterable[LabelledStructure], valid: float = 0.1, test: float = 0.1
) -> dict[Part, list[LabelledStructure]]:
    """Structures by part, in their order."""
    parts: dict[Part, list[LabelledStructure]] = {part: [] for part in PARTS}
    for structure in structures:
        parts[part_of(structure.atoms, valid, test)].append(structure)
    return parts
