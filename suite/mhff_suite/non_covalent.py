"""Tasks of interaction energies: the same numbers for every set of complexes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mhff_suite.data import PSI4
from mhff_suite.errors import curves, line, mean_absolute_error, parity
from mhff_suite.outcome import Curves, Outcome, Value
from mhff_suite.physics.interaction import Complex, interaction_energies
from mhff_suite.protocol import WITH_DISPERSION, LeftOutError, Reference, Setting
from mhff_suite.references import psi4
from mhff_suite.references.psi4 import PSI4_LICENCE

UNIT = "kcal/mol"
CHEMICAL_ACCURACY = 1.0
"""kcal/mol."""
MAX_CURVES = 6
RELATIVE = "distance, relative to the minimum"
COMPUTES = "Interaction energy of two molecules, frozen in the geometry of their complex."


def reference(theory: str, citation: str, licence: str = PSI4_LICENCE) -> Reference:
    """A reference of interaction energies."""
    return Reference(theory, citation, licence, WITH_DISPERSION)


def taken(
    setting: Setting, complexes: Sequence[Complex]
) -> tuple[Sequence[Complex], tuple[str, ...]]:
    """The complexes that a head can be tested on, and a note about the others.

    Raises LeftOutError if there are none.
    """
    able = [each for each in complexes if setting.describes(each)]
    if not able:
        raise LeftOutError(
            "the head does not know the elements of any complex, or the model takes no charge"
        )
    left = len(complexes) - len(able)
    note = f"{left} of {len(complexes)} complexes are left out: elements or charges."
    return setting.thinned(able), (note,) if left else ()


def outcome(setting: Setting, name: str, complexes: Sequence[Complex]) -> Outcome:
    """Errors of interaction energies with their parity plot."""
    able, notes = taken(setting, complexes)
    found = interaction_energies(setting.potential, able)
    expected = np.array([each.reference for each in able])
    names = [each.name for each in able]
    return Outcome(
        values=(error(expected, found),),
        drawings=(parity(f"{name}: interaction energies", UNIT, names, expected, found),),
        notes=notes,
    )


def error(expected: np.ndarray, found: np.ndarray, where: str = "") -> Value:
    """The MAE of interaction energies, `where` they are."""
    quantity = f"{where} interaction energy".strip()
    return mean_absolute_error(quantity, UNIT, expected, found, CHEMICAL_ACCURACY)


class Scan(NamedTuple):
    """Complexes at several distances."""

    distances: np.ndarray
    expected: np.ndarray
    """kcal/mol."""
    found: np.ndarray
    figure: Curves
    notes: tuple[str, ...]


def scan(setting: Setting, complexes: Sequence[Complex], x_label: str = RELATIVE) -> Scan:
    """Interaction energies of complexes whose names end with a hyphen and a distance."""
    able, notes = taken(setting, complexes)
    found = interaction_energies(setting.potential, able)
    expected = np.array([each.reference for each in able])
    names, ends = zip(*(each.name.rsplit("-", 1) for each in able), strict=True)
    distances = np.array([float(each) for each in ends])
    figure = dissociation_curves(names, distances, expected, found)
    return Scan(distances, expected, found, figure.model_copy(update={"x_label": x_label}), notes)


def scan_outcome(
    setting: Setting, complexes: Sequence[Complex], x_label: str = RELATIVE
) -> Outcome:
    """Errors along curves, and the curves."""
    found = scan(setting, complexes, x_label)
    return Outcome(
        values=(error(found.expected, found.found),), drawings=(found.figure,), notes=found.notes
    )


def dissociation_curves(
    names: Sequence[str], distances: np.ndarray, expected: np.ndarray, found: np.ndarray
) -> Curves:
    """Curves of a few complexes, spread over the set: references dashed."""
    chosen = list(dict.fromkeys(names))
    chosen = chosen[:: max(1, len(chosen) // MAX_CURVES)][:MAX_CURVES]
    lines = []
    for name in chosen:
        rows = [index for index, each in enumerate(names) if each == name]
        lines.append(line(name, distances[rows], found[rows]))
        lines.append(line(name, distances[rows], expected[rows], is_reference=True))
    return curves(
        "Dissociation curves (references dashed)",
        RELATIVE,
        f"interaction energy, {UNIT}",
        lines,
    )


def psi4_complexes(setting: Setting, module: str) -> list[Complex]:
    """The complexes of a file of psi4's databases; raises LeftOutError if it is not here."""
    return psi4.complexes(setting.folder(PSI4) / f"{module}.py")


def psi4_run(module: str) -> Callable[[Setting], Outcome]:
    """The function of a task that needs nothing but such a file."""

    def run(setting: Setting) -> Outcome:
        return outcome(setting, module, psi4_complexes(setting, module))

    return run
