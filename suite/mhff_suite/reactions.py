"""Tasks of barriers and reaction energies: the same numbers for every set of reactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mhff_suite.errors import mean_absolute_error, parity
from mhff_suite.outcome import Outcome
from mhff_suite.physics.interaction import KCAL_PER_MOL
from mhff_suite.potential import Potential, energies
from mhff_suite.protocol import HYBRIDS, LeftOutError, Reference, Setting

UNIT = "kcal/mol"
TARGET = 2.0
"""Error of good hybrid functionals, kcal/mol."""


@dataclass(frozen=True)
class Reaction:
    """Species with their coefficients, and the energy of the reaction or barrier."""

    name: str
    species: tuple[Atoms, ...]
    coefficients: tuple[int, ...]
    reference: float
    """kcal/mol."""

    @property
    def symbols(self) -> set[str]:
        """The elements."""
        return {symbol for atoms in self.species for symbol in atoms.get_chemical_symbols()}

    @property
    def is_charged(self) -> bool:
        """Whether a species has a charge."""
        return any(atoms.info.get("charge", 0) for atoms in self.species)


def reference(theory: str, citation: str, licence: str) -> Reference:
    """A reference of barriers."""
    return Reference(theory, citation, licence, HYBRIDS)


def reaction_energies(potential: Potential, reactions: Sequence[Reaction]) -> np.ndarray:
    """Energies of reactions, kcal/mol."""
    found = energies(potential, [atoms for each in reactions for atoms in each.species])
    ends = np.cumsum([len(each.species) for each in reactions])[:-1]
    return np.array(
        [
            float(np.dot(part, each.coefficients)) / KCAL_PER_MOL
            for part, each in zip(np.split(found, ends), reactions, strict=True)
        ]
    )


def outcome(setting: Setting, title: str, reactions: Sequence[Reaction]) -> Outcome:
    """Errors of the reactions that a head can be tested on, and their parity plot."""
    able = [each for each in reactions if setting.describes(each)]
    if not able:
        raise LeftOutError("the head does not know the elements of any reaction")
    left = len(reactions) - len(able)
    chosen = setting.thinned(able)
    found = reaction_energies(setting.potential, chosen)
    expected = [each.reference for each in chosen]
    notes = []
    if left:
        notes.append(f"{left} of {len(reactions)} reactions are left out: elements or ions.")
    if not setting.takes_spin:
        notes.append("The model takes no spin multiplicity: radicals count as any molecule.")
    return Outcome(
        values=(mean_absolute_error("barrier", UNIT, expected, found, TARGET),),
        drawings=(parity(title, UNIT, [each.name for each in chosen], expected, found),),
        notes=tuple(notes),
    )
