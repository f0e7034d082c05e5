"""The Delta test: equations of state of crystals of the elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.collections import dcdft
from ase.units import GPa
from ase.utils.deltacodesdft import delta

from mhff.errors import listing
from mhff_suite.errors import law, mean_absolute_error, parity, share
from mhff_suite.outcome import Outcome
from mhff_suite.physics.equation_of_state import EquationOfState, equation_of_state
from mhff_suite.protocol import (
    GENERALISED_GRADIENT,
    Domain,
    LeftOutError,
    Reference,
    Setting,
    Task,
)

MAX_QUICK = 3


@dataclass(frozen=True)
class Element:
    """An element and its reference equation of state."""

    symbol: str
    expected: EquationOfState


def elements() -> list[Element]:
    """The elements with the equations of state of WIEN2k."""
    return [
        Element(
            symbol,
            EquationOfState(
                dcdft.data[symbol]["wien2k_volume"],
                dcdft.data[symbol]["wien2k_B"] * GPa,
                dcdft.data[symbol]["wien2k_Bp"],
            ),
        )
        for symbol in dcdft.names
    ]


def delta_of(first: EquationOfState, second: EquationOfState) -> float:
    """Root mean square difference of two equations of state, meV per atom.

    K. Lejaeghere et al., Crit. Rev. Solid State Mater. Sci. 39, 1 (2014).
    """
    numbers = [
        number
        for each in (first, second)
        for number in (each.volume, each.bulk_modulus, each.derivative)
    ]
    return 1e3 * float(delta(*numbers))


def run(setting: Setting) -> Outcome:
    """Errors of volumes and bulk moduli, and the mean Delta."""
    able = [each for each in elements() if setting.knows(each.symbol)]
    if not able:
        raise LeftOutError("the head does not know any of the 71 elements")
    able = able[:MAX_QUICK] if setting.quick else able
    fits = [(each, equation_of_state(setting.potential, dcdft[each.symbol])) for each in able]
    found = [(each, fitted) for each, fitted in fits if fitted is not None]
    lost = [each.symbol for each, fitted in fits if fitted is None]
    values = [
        share(
            "crystals without a minimum",
            lost,
            len(able),
            f"the energy of {listing(lost)} has no minimum near the expected volume",
        )
    ]
    if not found:
        return Outcome(values=tuple(values))
    names = [each.symbol for each, _ in found]
    errors = 100 * np.array([eos.volume / each.expected.volume - 1 for each, eos in found])
    moduli = np.array([each.expected.bulk_modulus for each, _ in found]) / GPa
    own_moduli = np.array([eos.bulk_modulus for _, eos in found]) / GPa
    volumes = [each.expected.volume for each, _ in found]
    deltas = [delta_of(each.expected, eos) for each, eos in found]
    values += [
        mean_absolute_error("volume", "%", np.zeros(len(found)), errors, 1.0),
        mean_absolute_error("bulk modulus", "GPa", moduli, own_moduli, 5.0),
        law("Delta, mean", float(np.mean(deltas)), "meV/atom", 5.0, ""),
    ]
    return Outcome(
        values=tuple(values),
        drawings=(
            parity("Volume", "A^3/atom", names, volumes, [eos.volume for _, eos in found]),
            parity("Bulk modulus", "GPa", names, moduli, own_moduli),
        ),
    )


TASK = Task(
    name="dcdft",
    title="Crystals of the elements: volume, bulk modulus, Delta",
    domain=Domain.CRYSTALS,
    reference=Reference(
        "PBE, all electrons (WIEN2k)",
        "K. Lejaeghere et al., Science 351, aad3000 (2016) and earlier; shipped with ASE",
        "LGPL-2.1 (ASE)",
        GENERALISED_GRADIENT,
    ),
    computes="Birch-Murnaghan equations of state in the reference's cell shape.",
    run=run,
    cost=2.0,
)
