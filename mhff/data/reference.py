"""Reference energies (E0s) of a head: of isolated atoms, given, fitted, or re-estimated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any

import numpy as np
from ase.data import atomic_numbers
from pydantic import BeforeValidator

from mhff.data.reading import Composition, LabelledStructure
from mhff.data.statistics import check_E0s, elements_of, first_with, isolated_energies
from mhff.errors import MHFFError, listing
from mhff.heads import E0sKind

NOT_DETERMINED = 1e-6
"""Component in the null space of the compositions above which a fit leaves an E0 open."""


def _setting(value: Any) -> Any:
    """The setting `e0s`; for a validator, which turns the ValueError into a sentence."""
    words = (E0sKind.ISOLATED, E0sKind.LEAST_SQUARES, E0sKind.REESTIMATED)
    if isinstance(value, str) and value in words:
        return value
    if not isinstance(value, dict) or not value:
        raise ValueError(f"expected {listing(words)}, or energies by element, got {value!r}")
    unknown = [symbol for symbol in value if atomic_numbers.get(symbol, 0) == 0]
    if unknown:
        raise ValueError(f"expected chemical symbols, got {listing(unknown)}")
    numbers = [isinstance(energy, int | float) and isfinite(energy) for energy in value.values()]
    if not all(numbers):
        raise ValueError(f"expected energies in eV, got {listing(value.values())}")
    return {symbol: float(energy) for symbol, energy in value.items()}


Energies = dict[str, float]
E0sSetting = Annotated[str | Energies, BeforeValidator(_setting)]
"""`isolated`, `least_squares`, `reestimated`, or energies, eV, by chemical symbol."""


@dataclass(frozen=True)
class ReferenceEnergies:
    """A head's E0s, eV, by chemical symbol."""

    energies: dict[str, float]
    kind: E0sKind
    undetermined: tuple[str, ...] = ()
    """Elements whose E0s the fitted compositions leave open; only their sums have a meaning."""

    def describe(self) -> list[str]:
        """Sentences for the user."""
        values = listing(f"{symbol} {value:.4f}" for symbol, value in self.energies.items())
        lines = [f"E0s {WORDS[self.kind]}, eV: {values}"]
        if self.undetermined:
            lines.append(
                f"the compositions do not determine the E0s of {listing(self.undetermined)} one by "
                "one: the model is not to be used for other compositions of these elements"
            )
        return lines


WORDS = {
    E0sKind.ISOLATED: "of isolated atoms",
    E0sKind.GIVEN: "as given",
    E0sKind.LEAST_SQUARES: "by least squares",
    E0sKind.REESTIMATED: "re-estimated against the start model",
    E0sKind.UNKNOWN: "of unknown origin",
}
"""The kind in a sentence."""


def reference_energies(
    setting: str | Energies,
    structures: Sequence[LabelledStructure],
    train: Sequence[LabelledStructure],
) -> ReferenceEnergies:
    """E0s for all elements of a head's structures, which include isolated atoms.

    Least squares fit the training structures alone. Raises MHFFError for an element without E0.
    """
    if setting == E0sKind.LEAST_SQUARES:
        return fitted(structures, train)
    if isinstance(setting, str):
        E0s = isolated_energies(structures)
        check_E0s(E0s, structures)
        return ReferenceEnergies(E0s, E0sKind.ISOLATED)
    missing = [element for element in elements_of(structures) if element not in setting]
    if missing:
        raise MHFFError(
            f"e0s gives no energy for {listing(missing)} ({first_with(missing[0], structures)}, "
            f"for example), only for {listing(setting)}; add it"
        )
    return ReferenceEnergies(dict(setting), E0sKind.GIVEN)


def fitted(
    structures: Sequence[LabelledStructure], train: Sequence[LabelledStructure]
) -> ReferenceEnergies:
    """The E0s that minimise the squared errors of (E - sum of E0s) / N of the training structures.

    Of all solutions the one with the smallest E0s. Raises MHFFError for an element of `structures`
    that no training structure has.
    """
    train = [item for item in train if item.energy is not None]
    if not train:
        raise MHFFError(
            "no training structure has an energy, so least squares cannot give E0s; give e0s as "
            "energies by element"
        )
    elements = elements_of(structures)
    missing = [element for element in elements if element not in elements_of(train)]
    if missing:
        raise MHFFError(
            f"no training structure with an energy has {listing(missing)} "
            f"({first_with(missing[0], structures)} is not one), so least squares cannot "
            "give their E0s; add structures, or give e0s as energies by element"
        )
    totals = np.array([item.energy for item in train], dtype=np.float64)
    per_atom = totals / [item.n_atoms for item in train]
    energies, undetermined = _least_squares(train, per_atom, elements)
    return ReferenceEnergies(energies, E0sKind.LEAST_SQUARES, undetermined)


def reestimated(
    E0s: Mapping[str, float], train: Sequence[LabelledStructure], errors: np.ndarray
) -> ReferenceEnergies:
    """E0s changed by what fits a model's errors best, so that they begin without an offset.

    `errors`: label minus the prediction with these E0s, eV per atom, of each training structure. Of
    all solutions the one with the smallest changes: E0s of elements that no training structure has
    stay as they are.
    """
    changes, undetermined = _least_squares(train, errors, tuple(E0s))
    energies = {element: energy + changes[element] for element, energy in E0s.items()}
    found = elements_of(train)
    open_ones = tuple(element for element in undetermined if element in found)
    return ReferenceEnergies(energies, E0sKind.REESTIMATED, open_ones)


def _least_squares(
    structures: Sequence[LabelledStructure], per_atom: np.ndarray, elements: Sequence[str]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Energies by element with the sums `per_atom`, and the elements that these leave open.

    Structures of one composition make one equation, with their number as its weight.
    """
    groups: dict[Composition, list[int]] = defaultdict(list)
    for index, item in enumerate(structures):
        groups[item.composition].append(index)
    weights = np.sqrt([len(members) for members in groups.values()])
    counts = np.array([[dict(each).get(e, 0) for e in elements] for each in groups], dtype=float)
    fractions = weights[:, None] * counts / counts.sum(axis=1, keepdims=True)
    means = weights * [per_atom[members].mean() for members in groups.values()]
    energies, _, rank, _ = np.linalg.lstsq(fractions, means, rcond=1e-9)
    null_space = np.linalg.svd(np.linalg.qr(fractions, mode="r"))[2][rank:]
    is_open = np.abs(null_space).max(axis=0, initial=0.0) > NOT_DETERMINED
    undetermined = tuple(e for e, each in zip(elements, is_open, strict=True) if each)
    return dict(zip(elements, energies.tolist(), strict=True)), undetermined


def kinds_differ(kinds: Mapping[str, E0sKind]) -> list[str]:
    """A sentence if the E0s of the heads are of different kinds; `kinds` by head."""
    if len(set(kinds.values())) < 2:
        return []
    named = listing(f"{name}: {kind}" for name, kind in kinds.items())
    return [f"E0s of different kinds ({named}): do not compare total energies of these heads"]
