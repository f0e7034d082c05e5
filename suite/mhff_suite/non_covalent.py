"""Tasks of interaction energies: the same numbers for every set of complexes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mhff_suite.data import PSI4, Source
from mhff_suite.errors import curves, line, mean_absolute_error, parity
from mhff_suite.outcome import Curves, Outcome
from mhff_suite.physics.interaction import Complex, interaction_energies
from mhff_suite.protocol import WITH_DISPERSION, LeftOutError, Reference, Setting
from mhff_suite.references import psi4

UNIT = "kcal/mol"
CHEMICAL_ACCURACY = 1.0
"""kcal/mol."""
MAX_QUICK = 12
MAX_CURVES = 6
COMPUTES = "Interaction energy of two molecules, frozen in the geometry of their complex."
PSI4_LICENCE = "LGPL-3.0 (psi4)"


def reference(theory: str, citation: str, licence: str = PSI4_LICENCE) -> Reference:
    """A reference of interaction energies."""
    return Reference(theory, citation, licence, WITH_DISPERSION)


def taken(setting: Setting, complexes: Sequence[Complex]) -> tuple[list[Complex], tuple[str, ...]]:
    """The complexes that a head can be tested on, and a note about the others.

    Raises LeftOutError if there are none.
    """
    able = [
        each
        for each in complexes
        if setting.knows(*each.symbols) and (setting.takes_charge or not each.is_charged)
    ]
    if not able:
        raise LeftOutError(
            "the head does not know the elements of any complex, or the model takes no charge"
        )
    left = len(complexes) - len(able)
    note = f"{left} of {len(complexes)} complexes are left out: elements or charges."
    if setting.quick:
        able = able[:: max(1, len(able) // MAX_QUICK)]
    return able, (note,) if left else ()


def outcome(setting: Setting, name: str, complexes: Sequence[Complex]) -> Outcome:
    """Errors of interaction energies with their parity plot."""
    able, notes = taken(setting, complexes)
    found = interaction_energies(setting.potential, able)
    expected = np.array([each.reference for each in able])
    names = [each.name for each in able]
    return Outcome(
        values=(
            mean_absolute_error("interaction energy", UNIT, expected, found, CHEMICAL_ACCURACY),
        ),
        drawings=(parity(f"{name}: interaction energies", UNIT, names, expected, found),),
        notes=notes,
    )


def dissociation_curves(
    names: Sequence[str], distances: Sequence[float], expected: np.ndarray, found: np.ndarray
) -> Curves:
    """Curves of a few complexes, spread over the set: references dashed."""
    chosen = list(dict.fromkeys(names))
    chosen = chosen[:: max(1, len(chosen) // MAX_CURVES)][:MAX_CURVES]
    lines = []
    for name in chosen:
        rows = [index for index, each in enumerate(names) if each == name]
        x = [distances[row] for row in rows]
        lines.append(line(name, x, found[rows]))
        lines.append(line(name, x, expected[rows], is_reference=True))
    return curves(
        "Dissociation curves (references dashed)",
        "distance, relative to the minimum",
        f"interaction energy, {UNIT}",
        lines,
    )


def psi4_complexes(setting: Setting, module: str) -> list[Complex]:
    """The complexes of a file of psi4's databases; raises LeftOutError if it is not here."""
    folder = setting.data.find(PSI4)
    if folder is None:
        raise missing(PSI4)
    return psi4.complexes(folder / f"{module}.py")


def psi4_run(module: str) -> Callable[[Setting], Outcome]:
    """The function of a task that needs nothing but such a file."""

    def run(setting: Setting) -> Outcome:
        return outcome(setting, module, psi4_complexes(setting, module))

    return run


def missing(source: Source) -> LeftOutError:
    """The refusal of a task whose data are not here."""
    return LeftOutError(f"needs {source.name}: {source.how}")
