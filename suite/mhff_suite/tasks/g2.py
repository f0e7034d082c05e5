"""G2: atomisation energies of molecules, which ASE ships."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.data import g2
from ase.symbols import string2symbols

from mhff_suite.errors import element_counts, mean_absolute_error, parity
from mhff_suite.outcome import Outcome
from mhff_suite.physics.interaction import KCAL_PER_MOL
from mhff_suite.potential import energies
from mhff_suite.protocol import Domain, LeftOutError, Setting, Task
from mhff_suite.reactions import reference

UNIT = "kcal/mol"
TARGET = 5.0
"""kcal/mol."""
DATA: dict[str, Any] = g2.data


def atomisation_energy(name: str) -> float:
    """Experimental atomisation energy without zero-point vibration, kcal/mol.

    From enthalpies of formation at 298 K (L. A. Curtiss et al., J. Chem. Phys. 106, 1063, 1997).
    """
    entry = DATA[name]
    atoms = [DATA[symbol] for symbol in string2symbols(entry["symbols"])]
    of_atoms = sum(atom["enthalpy"] - atom["thermal correction"] for atom in atoms)
    of_molecule = entry["enthalpy"] - entry["thermal correction"] - entry["ZPE"]
    return float(of_atoms - of_molecule)


def atomisation_energies(setting: Setting, molecules: list[Atoms]) -> np.ndarray:
    """Reference energies of the atoms minus energies of the molecules, kcal/mol."""
    apart = [sum(setting.E0s[each] for each in atoms.symbols) for atoms in molecules]
    found = energies(setting.potential, molecules)
    result: np.ndarray = (np.array(apart) - found) / KCAL_PER_MOL
    return result


def without_element_errors(molecules: list[Atoms], errors: np.ndarray) -> np.ndarray:
    """Errors minus their least-squares fit by the numbers of atoms of each element."""
    counts = element_counts(molecules)
    fit, *_ = np.linalg.lstsq(counts, errors)
    result: np.ndarray = errors - counts @ fit
    return result


def run(setting: Setting) -> Outcome:
    """Errors of the atomisation energies, and what a fit by composition leaves of them."""
    names = [name for name in g2.molecule_names if "enthalpy" in DATA[name]]
    able = [name for name in names if setting.knows(*string2symbols(DATA[name]["symbols"]))]
    if not able:
        raise LeftOutError("the head does not know the elements of any molecule")
    chosen = setting.thinned(able)
    molecules = [molecule(name) for name in chosen]
    expected = np.array([atomisation_energy(name) for name in chosen])
    found = atomisation_energies(setting, molecules)
    fitted = without_element_errors(molecules, found - expected)
    values = [
        mean_absolute_error(
            "error after a fit per element,", UNIT, np.zeros(len(chosen)), fitted, TARGET
        )
    ]
    notes = [f"{len(chosen)} of {len(names)} molecules."]
    if not setting.has_atoms:
        notes.append("The head's E0s are not energies of atoms: only the fit is given.")
    else:
        values.insert(0, mean_absolute_error("atomisation energy", UNIT, expected, found, TARGET))
    return Outcome(
        values=tuple(values),
        drawings=(parity("Atomisation energies", UNIT, chosen, expected, found),),
        notes=tuple(notes),
    )


TASK = Task(
    name="g2",
    title="G2/97: atomisation energies",
    domain=Domain.MOLECULES,
    reference=reference(
        "experiment",
        "L. A. Curtiss et al., J. Chem. Phys. 106, 1063 (1997); V. N. Staroverov et al., J. Chem. "
        "Phys. 119, 12129 (2003); shipped with ASE",
        "LGPL-2.1 (ASE)",
    ),
    computes="Reference energies (E0s) of the atoms minus the energy of the molecule, in MP2 "
    "geometries.",
    run=run,
    cost=1.0,
)
