"""CO on MgO(100): adsorption energy, and curves away from the surface and along it."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import molecule

from mhff_suite.errors import curves, law, line
from mhff_suite.outcome import Outcome
from mhff_suite.physics.diatomics import RESOLUTION
from mhff_suite.physics.relaxation import relaxed
from mhff_suite.physics.surfaces import above, magnesia, relaxed_slab
from mhff_suite.potential import energies
from mhff_suite.protocol import Domain, LeftOutError, Reference, Setting, Task
from mhff_suite.tasks.compression import hole

EXPECTED = -0.199
"""eV."""
TARGET = 0.05
"""eV."""
HEIGHTS = np.linspace(1.7, 7.0, 54)
"""Heights of the carbon atom above the surface, A."""
SIZE = (2, 2)
LAYERS = 3
STEPS_ALONG = 25


def carbon_monoxide(setting: Setting) -> Atoms:
    """A relaxed CO with its carbon atom first and down; LeftOutError if it has no minimum."""
    found = relaxed(setting.potential, molecule("CO"))
    if found is None:
        raise LeftOutError("CO has no minimum with this head")
    bond = found.get_distance(0, 1)
    return Atoms("CO", [[0.0, 0.0, 0.0], [0.0, 0.0, bond]])


def holes_outward(values: np.ndarray) -> float:
    """Depth to which the energy falls again on the way out from the minimum, eV."""
    return hole(values[int(np.argmin(values)) :])


def run(setting: Setting) -> Outcome:
    """The error of the adsorption energy, and a hole on the way out."""
    base = relaxed_slab(setting.potential, magnesia(setting.potential), SIZE, LAYERS)
    base.calc = None
    guest = carbon_monoxide(setting)
    magnesium, oxygen = (_on_top(base, symbol) for symbol in ("Mg", "O"))
    alone = energies(setting.potential, [base, guest]).sum()
    away = [above(base, guest, magnesium, height) for height in HEIGHTS]
    outward = energies(setting.potential, away) - alone
    height = float(HEIGHTS[np.argmin(outward)])
    fractions = np.linspace(0, 1, STEPS_ALONG)
    places = [magnesium + part * (oxygen - magnesium) for part in fractions]
    sideways = [above(base, guest, place, height) for place in places]
    along = energies(setting.potential, sideways) - alone
    bound = relaxed(setting.potential, away[int(np.argmin(outward))])
    notes = []
    values = [
        law(
            "deepest hole on the way out",
            holes_outward(outward),
            "eV",
            5 * RESOLUTION,
            "the energy of CO above MgO(100) has several minima",
        )
    ]
    if bound is not None:
        adsorption = float(bound.get_potential_energy() - alone)
        error = abs(adsorption - EXPECTED)
        values.insert(0, law("error of the adsorption energy", error, "eV", TARGET, ""))
        notes.append(f"Found {adsorption:.3f} eV, expected {EXPECTED}.")
    else:
        notes.append("CO on the slab has no minimum within the steps of the relaxation.")
    return Outcome(
        values=tuple(values),
        drawings=(
            curves(
                "CO above Mg", "height, A", "energy, eV", [line("CO", HEIGHTS, outward)]
            ).model_copy(update={"y_limits": (-0.6, 1.0)}),
            curves(
                "CO moved from Mg to O at the best height",
                "part of the way",
                "energy, eV",
                [line("CO", fractions, along)],
            ),
        ),
        notes=tuple(notes),
    )


def _on_top(base: Atoms, symbol: str) -> np.ndarray:
    """The place of an atom of an element in the top layer, `[2]`, the one nearest to the origin."""
    top = base.positions[:, 2].max()
    places = [atom.position[:2] for atom in base if atom.symbol == symbol and atom.z > top - 1.0]
    result: np.ndarray = min(places, key=lambda place: float(place @ place))
    return result


TASK = Task(
    name="co-on-mgo",
    title="CO on MgO(100)",
    domain=Domain.SURFACES,
    reference=Reference(
        "CCSD(T)",
        "B. X. Shi et al., J. Am. Chem. Soc. 145, 25372 (2023)",
        "facts",
        ("PBE", "RPBE", "r2SCAN", "SCAN"),
    ),
    computes="Relaxed CO, carbon down, above Mg of a slab of three layers.",
    run=run,
    cost=3.0,
    needs=("C", "O", "Mg"),
)
