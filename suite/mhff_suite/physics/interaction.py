"""Interaction energies of two molecules, frozen in the geometry of their complex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.units import kcal, mol

from mhff_suite.potential import Potential, energies

KCAL_PER_MOL = kcal / mol
"""eV."""


@dataclass(frozen=True)
class Complex:
    """Two molecules and their reference interaction energy."""

    name: str
    whole: Atoms
    parts: tuple[Atoms, Atoms]
    reference: float
    """kcal/mol; negative where the molecules attract each other."""

    @property
    def symbols(self) -> set[str]:
        """The elements."""
        return set(self.whole.get_chemical_symbols())

    @property
    def is_charged(self) -> bool:
        """Whether a molecule has a charge."""
        return any(part.info.get("charge", 0) for part in self.parts)


def split(name: str, atoms: Atoms, n_first: int, reference: float) -> Complex:
    """A complex of neutral molecules, whose first one has the first `n_first` atoms."""
    return Complex(name, atoms, (atoms[:n_first], atoms[n_first:]), reference)


def interaction_energies(potential: Potential, complexes: Sequence[Complex]) -> np.ndarray:
    """Interaction energies, kcal/mol: the complex minus its parts."""
    structures = [atoms for each in complexes for atoms in (each.whole, *each.parts)]
    found = energies(potential, structures).reshape(-1, 3)
    result: np.ndarray = (found[:, 0] - found[:, 1] - found[:, 2]) / KCAL_PER_MOL
    return result
