"""Tasks of cohesive energies against the elemental references of MatPES."""

from __future__ import annotations

import numpy as np

from mhff_suite.data import MATCALC
from mhff_suite.errors import law, mean_absolute_error, parity
from mhff_suite.outcome import Outcome
from mhff_suite.protocol import LeftOutError, Reference, Setting
from mhff_suite.references.matpes import Functional, elements

UNIT = "eV/atom"
TARGET = 0.1
"""eV/atom."""
FORCE_TARGET = 0.05
"""eV/A: the references are relaxed."""
MAX_ATOMS = 40
MAX_QUICK = 5


def reference(functional: Functional) -> Reference:
    """The reference of a functional."""
    return Reference(
        f"{functional} (MatPES)",
        "A. D. Kaplan et al., arXiv:2503.04070 (2025); matcalc's source distribution",
        "BSD-3-Clause (matcalc)",
        (functional,),
    )


def run(setting: Setting, functional: Functional) -> Outcome:
    """Errors of cohesive energies, and forces in the references' structures."""
    able = [
        each
        for each in elements(setting.folder(MATCALC), functional)
        if setting.knows(each.symbol) and len(each.atoms) <= MAX_ATOMS
    ]
    if not able:
        raise LeftOutError("the head does not know any of the elements")
    able = able[:MAX_QUICK] if setting.quick else able
    found = setting.potential.evaluate([each.atoms for each in able])
    energies = [
        own.energy / len(each.atoms) - setting.E0s[each.symbol]
        for each, own in zip(able, found, strict=True)
    ]
    force = np.mean([np.linalg.norm(own.forces, axis=1).mean() for own in found])
    values = [law("force in the relaxed crystal, mean", float(force), "eV/A", FORCE_TARGET, "")]
    expected = [each.cohesive_energy for each in able]
    names = [each.symbol for each in able]
    if not setting.has_atoms:
        note = ("The head's E0s are not energies of atoms, so it has no cohesive energies.",)
        return Outcome(values=tuple(values), notes=note)
    values.insert(0, mean_absolute_error("cohesive energy", UNIT, expected, energies, TARGET))
    drawing = parity("Cohesive energies", UNIT, names, expected, energies)
    return Outcome(values=tuple(values), drawings=(drawing,))
