"""Settings of the suite's tasks around potentials whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones

from mhff.heads import Head
from mhff_suite.data import DataFolders
from mhff_suite.potential import CalculatorPotential
from mhff_suite.protocol import Setting
from mhff_suite.reactions import Reaction

CUTOFF = 9.0
"""A."""
SIGMA = 3.4
EPSILON = 0.0104
"""Argon, eV."""


def argon(cutoff: float = CUTOFF) -> LennardJones:
    """The Lennard-Jones potential of argon, with continuous forces at its cutoff."""
    return LennardJones(sigma=SIGMA, epsilon=EPSILON, rc=cutoff, ro=0.8 * cutoff, smooth=True)


def setting_around(
    calculator: Calculator, *elements: str, level: str = "unknown", folders: tuple[Path, ...] = ()
) -> Setting:
    """A setting with a calculator of ASE as the head."""
    return Setting(
        potential=CalculatorPotential(calculator),
        head=Head(name="known", level_of_theory=level),
        elements=elements,
        E0s=dict.fromkeys(elements, 0.0),
        r_max=CUTOFF,
        reach=CUTOFF,
        takes_charge=False,
        takes_spin=False,
        data=DataFolders(folders),
    )


def values_of(outcome: Any) -> dict[str, float]:
    """The numbers of an outcome by quantity."""
    return {value.quantity: value.value for value in outcome.values}


def assert_balanced(reaction: Reaction) -> None:
    """No atom and no charge comes or goes."""
    balance = np.zeros(120)
    charge = 0
    for atoms, coefficient in zip(reaction.species, reaction.coefficients, strict=True):
        np.add.at(balance, atoms.numbers, coefficient)
        charge += coefficient * atoms.info["charge"]
    assert not balance.any(), reaction.name
    assert charge == 0, reaction.name
