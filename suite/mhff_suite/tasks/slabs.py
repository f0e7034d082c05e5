"""Relative energies of MgO(100) slabs, clean and with CO, against the shipped DFT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mhff_suite.errors import mean_absolute_error, parity
from mhff_suite.held_out import frames, reference
from mhff_suite.outcome import Outcome
from mhff_suite.potential import energies
from mhff_suite.protocol import Domain, Setting, Task

KINDS = {"clean slabs": "MgO100_none", "CO on MgO(100)": "MgO100_CO"}
"""Names, and the kind of structure in the file."""
TARGET = 0.1
"""eV."""


def relative(atoms: Sequence[Atoms], values: np.ndarray) -> np.ndarray:
    """Energies relative to the mean of the structures of the same composition, eV."""
    formulas = np.array([each.get_chemical_formula() for each in atoms])
    result = values.copy()
    for formula in np.unique(formulas):
        result[formulas == formula] -= values[formulas == formula].mean()
    return result


def run(setting: Setting) -> Outcome:
    """Errors of the relative energies."""
    everything = frames(setting, "surfaces")
    values = []
    drawings = []
    for name, kind in KINDS.items():
        chosen = [atoms for atoms in everything if atoms.info["config_type"] == kind]
        labels = np.array([atoms.info["REF_energy"] for atoms in chosen])
        expected = relative(chosen, labels)
        found = relative(chosen, energies(setting.potential, chosen))
        values.append(
            mean_absolute_error(f"{name}: relative energy", "eV", expected, found, TARGET)
        )
        drawings.append(parity(f"Relative energies: {name}", "eV", (), expected, found))
    return Outcome(
        values=tuple(values),
        drawings=tuple(drawings),
        notes=("All structures count, those of the training set, too.",),
    )


TASK = Task(
    name="slabs",
    title="MgO(100), clean and with CO",
    domain=Domain.SURFACES,
    reference=reference("RPBE, PAW, plane waves 400 eV (GPAW)", "RPBE"),
    computes="Energies relative to the mean of the slabs of the same composition.",
    run=run,
    cost=1.0,
    needs=("Mg", "O", "C"),
)
