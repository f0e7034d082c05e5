"""Tasks of the shipped DFT data: errors on the structures that no training has seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.io import read

from mhff.data.reading import ISOLATED_ATOM
from mhff.data.split import part_of
from mhff_suite.data import MHFF
from mhff_suite.errors import element_counts, mean_absolute_error, parity
from mhff_suite.outcome import Outcome
from mhff_suite.protocol import LeftOutError, Reference, Setting

ENERGY_TARGET = 10.0
"""meV per atom."""
FORCE_TARGET = 50.0
"""meV/A."""
MAX_QUICK = 15


def reference(theory: str, *fair_for: str) -> Reference:
    """The reference of a shipped file."""
    return Reference(theory, "data/README.md of mhff's repository", "MIT", fair_for)


def frames(setting: Setting, name: str) -> list[Atoms]:
    """All labelled structures of a shipped file that the head knows; no isolated atoms."""
    able = [
        atoms
        for atoms in read(setting.folder(MHFF) / f"{name}.extxyz", ":")
        if atoms.info["config_type"] != ISOLATED_ATOM and setting.knows(*set(atoms.symbols))
    ]
    if not able:
        raise LeftOutError("the head does not know the elements of any structure")
    return able


def without_composition(atoms: Sequence[Atoms], energies: np.ndarray) -> np.ndarray:
    """Energies per atom minus a least-squares fit by the numbers of atoms of each element.

    Levels of theory have different energies of atoms; what is left can be compared.
    """
    counts = element_counts(atoms)
    per_atom = energies / counts.sum(1)
    fractions = counts / counts.sum(1, keepdims=True)
    fit, *_ = np.linalg.lstsq(fractions, per_atom)
    result: np.ndarray = per_atom - fractions @ fit
    return result


def run(setting: Setting, name: str) -> Outcome:
    """Errors of forces, and of energies after a fit per element, on the test structures."""
    chosen = [atoms for atoms in frames(setting, name) if part_of(atoms) == "test"]
    if not chosen:
        raise LeftOutError("the head does not know the elements of any test structure")
    chosen = chosen[:MAX_QUICK] if setting.quick else chosen
    found = setting.potential.evaluate(chosen)
    expected = np.concatenate([atoms.arrays["REF_forces"].ravel() for atoms in chosen])
    forces = np.concatenate([each.forces.ravel() for each in found])
    energies = np.array([atoms.info["REF_energy"] for atoms in chosen])
    own = np.array([each.energy for each in found])
    off = 1e3 * without_composition(chosen, own - energies)
    return Outcome(
        values=(
            mean_absolute_error(
                "energy after a fit per element,",
                "meV/atom",
                np.zeros(len(off)),
                off,
                ENERGY_TARGET,
            ),
            mean_absolute_error("force", "meV/A", 1e3 * expected, 1e3 * forces, FORCE_TARGET),
        ),
        drawings=(parity("Forces on held-out structures", "eV/A", (), expected, forces),),
        notes=(f"{len(chosen)} structures.",),
    )
