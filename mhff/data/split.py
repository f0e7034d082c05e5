"""A split that depends on each structure alone, so that other structures never move it.

A copy with its atoms in another order, wrapped into the cell or moved as a whole counts as another
structure, and may come into another part: `mhff.data.duplicates` finds such copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ase import Atoms

from mhff.data.identity import fraction
from mhff.data.reading import LabelledStructure

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")


def part_of(atoms: Atoms, valid: float = 0.1, test: float = 0.1) -> Part:
    """The part of a structure, for the given fractions of validation and test structures.

    Labels and head do not count: one structure at two levels of theory belongs to one part.
    """
    return _part(fraction(atoms), valid, test)


def _part(place: float, valid: float, test: float) -> Part:
    if place < test:
        return "test"
    return "valid" if place < test + valid else "train"


def split(
    structures: Iterable[LabelledStructure], valid: float = 0.1, test: float = 0.1
) -> dict[Part, list[LabelledStructure]]:
    """Structures by part, in their order."""
    parts: dict[Part, list[LabelledStructure]] = {part: [] for part in PARTS}
    for structure in structures:
        parts[_part(structure.fraction, valid, test)].append(structure)
    return parts
