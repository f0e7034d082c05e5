"""Statistics of a head's data: reference energies, shift and scale, elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum, sqrt

import numpy as np
from ase.data import atomic_numbers

from mhff.data.reading import LabelledStructure
from mhff.errors import MHFFError, listing


def isolated_energies(structures: Sequence[LabelledStructure]) -> dict[str, float]:
    """E0s, eV, by chemical symbol, from the isolated atoms among the structures.

    Raises MHFFError if two isolated atoms of an element disagree.
    """
    E0s: dict[str, float] = {}
    for structure in structures:
        if structure.is_isolated_atom and structure.energy is not None:
            symbol = structure.composition[0][0]
            if E0s.setdefault(symbol, structure.energy) != structure.energy:
                raise MHFFError(
                    f"two isolated {symbol} atoms have the energies {E0s[symbol]} and "
                    f"{structure.energy} eV; keep one"
                )
    return E0s


def elements_of(structures: Sequence[LabelledStructure]) -> tuple[str, ...]:
    """Elements of the structures that are not isolated atoms, in ascending atomic number."""
    found = {
        symbol
        for composition in {item.composition for item in structures if not item.is_isolated_atom}
        for symbol, _ in composition
    }
    return tuple(sorted(found, key=lambda symbol: atomic_numbers[symbol]))


def first_with(element: str, structures: Sequence[LabelledStructure]) -> str:
    """The place of the first structure with an element that is not an isolated atom."""
    return next(
        item.place for item in structures if element in item.elements and not item.is_isolated_atom
    )


def check_E0s(E0s: Mapping[str, float], structures: Sequence[LabelledStructure]) -> None:
    """Raise MHFFError for an element of a head's structures that has no isolated atom."""
    missing = [element for element in elements_of(structures) if element not in E0s]
    if missing:
        raise MHFFError(
            f"there are structures with {listing(missing)} ({first_with(missing[0], structures)}, "
            f"for example) but reference energies only for {listing(E0s)}; add isolated atoms "
            "(config_type=IsolatedAtom) to the files, or set e0s to energies by element, to "
            "least_squares or, with start_from, to reestimated"
        )


def interaction_energy_per_atom(
    structure: LabelledStructure, E0s: Mapping[str, float]
) -> float | None:
    """(E - sum of E0s) / N, eV; None if the energy is not labelled."""
    if structure.energy is None:
        return None
    reference = sum(count * E0s[symbol] for symbol, count in structure.composition)
    return (structure.energy - reference) / structure.n_atoms


def energy_shift(structures: Sequence[LabelledStructure], E0s: Mapping[str, float]) -> float:
    """Mean interaction energy per atom, eV: the best constant in the least-squares sense.

    0 without energies.
    """
    energies = [interaction_energy_per_atom(item, E0s) for item in structures]
    labelled = [energy for energy in energies if energy is not None]
    return float(np.mean(labelled)) if labelled else 0.0


def force_scale(structures: Sequence[LabelledStructure]) -> float:
    """Root mean square of the force components, eV/A; 1 without forces or if all are zero."""
    labelled = [item for item in structures if item.squared_forces is not None]
    total = fsum(item.squared_forces or 0.0 for item in labelled)
    n_components = sum(3 * item.n_atoms for item in labelled)
    return sqrt(total / max(n_components, 1)) or 1.0
