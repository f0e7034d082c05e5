"""Atom types, velocities and frozen atoms of a structure, as LAMMPS needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.constraints import FixAtoms

from mhff.atoms import geometry, species_indices
from mhff.capabilities import Capabilities
from mhff.errors import MHFFError, listing
from mhff.heads import HEAD_KEY, Heads
from mhff.neighbours import neighbour_list
from mhff_lammps.inputs.box import Box, place

A_PER_PS = 1000.0 * units.fs
"""ASE's unit of velocity in LAMMPS' metal units, A/ps."""


class AtomType(NamedTuple):
    """Atoms of one element, one head or mix, and one mass."""

    element: str
    head: str
    mass: float
    """amu."""

    @property
    def label(self) -> str:
        """The word for this type in `pair_coeff`."""
        return f"{self.element}@{self.head}"


@dataclass(frozen=True)
class Content:
    """Everything about a structure that the data file and the script say."""

    formula: str
    box: Box
    types: tuple[AtomType, ...]
    """Atom types; the first has the number 1."""
    type_of_atom: np.ndarray
    """Position in `types`, `[n]`."""
    positions: np.ndarray
    """`[n, 3]`, A."""
    velocities: np.ndarray | None
    """`[n, 3]`, A/ps; None if the structure has none."""
    frozen: np.ndarray
    """Whether an atom is held in its place, `[n]`."""
    notes: tuple[str, ...] = ()
    """Sentences about what the structure has and the input has not."""


def content_of(atoms: Atoms, can: Capabilities, head: str | None) -> Content:
    """The content of a structure; `head` is the full name of the head for all atoms.

    A mix that was named when the program was compiled stands where a head does. The structure's own
    `mhff_head` comes first, as in the ASE calculator. Raises MHFFError for a structure without
    atoms, an element or a head that the model lacks, coinciding atoms, masses that are not
    positive, and lattice vectors that depend on one another.
    """
    if not len(atoms):
        raise MHFFError("this structure has no atoms; give one that has some")
    symbols = atoms.get_chemical_symbols()
    species_indices(symbols, can.elements)  # refuses elements that the model lacks
    neighbour_list(*geometry(atoms), can.r_max)  # refuses what has no neighbours
    masses = atoms.get_masses()
    if not (masses > 0).all():
        raise MHFFError(
            f"expected positive masses, got {masses.min():g} amu for atom {int(masses.argmin())}; "
            "correct it or leave the masses out"
        )
    keys = list(map(AtomType, symbols, _head_of_atoms(atoms, can, head), map(float, masses)))
    types = tuple(dict.fromkeys(keys))
    placement = place(atoms)
    frozen, notes = _frozen(atoms)
    velocities = atoms.get_velocities() @ placement.rotation if atoms.has("momenta") else None
    return Content(
        formula=atoms.get_chemical_formula(),
        box=placement.box,
        types=types,
        type_of_atom=np.array([types.index(key) for key in keys]),
        positions=placement.positions,
        velocities=None if velocities is None else velocities * A_PER_PS,
        frozen=frozen,
        notes=notes,
    )


def _head_of_atoms(atoms: Atoms, can: Capabilities, head: str | None) -> list[str]:
    """The head of each atom: from the structure's arrays, its info, or the one for all."""
    if HEAD_KEY in atoms.arrays:
        names = [str(name) for name in atoms.arrays[HEAD_KEY]]
    else:
        names = [_head_of_all(atoms, can.heads, head)] * len(atoms)
    can.head_rows(names)  # refuses unknown ones
    return names


def _head_of_all(atoms: Atoms, heads: Heads, head: str | None) -> str:
    chosen = atoms.info.get(HEAD_KEY, head)
    if chosen is None and len(heads) == 1:
        return heads.names[0]
    if chosen is None:
        raise MHFFError(
            f"no head given: this model has the heads {listing(heads.names)}; choose one with "
            "--head"
        )
    if not isinstance(chosen, str):
        raise MHFFError(
            f"expected a head's name in atoms.info['{HEAD_KEY}'], got {chosen!r}; LAMMPS takes a "
            "mix by a name that mhff compile --mix gives it"
        )
    return chosen


def _frozen(atoms: Atoms) -> tuple[np.ndarray, tuple[str, ...]]:
    """Atoms that ASE's FixAtoms holds, `[n]`, and sentences about other constraints."""
    frozen = np.zeros(len(atoms), dtype=bool)
    others: Sequence[str] = []
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            frozen[constraint.index] = True
        else:
            others = [*others, type(constraint).__name__]
    if not others:
        return frozen, ()
    return frozen, (f"the constraints {listing(others)} of the structure are not in the input",)
