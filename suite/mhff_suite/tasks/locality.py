"""A moved atom is felt up to a finite distance, and less the farther away."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mhff_suite.errors import curves, law, line
from mhff_suite.outcome import Outcome
from mhff_suite.physics.samples import crystals
from mhff_suite.protocol import PHYSICAL_LAW, Domain, LeftOutError, Setting, Task

TOLERANCE = 1e-8
"""eV/A."""
PUSH = 0.1
"""Displacement of the atom, A."""
FLOOR = 1e-12
"""Smallest change of a force in the figure, eV/A."""


def bar(atoms: Atoms, length: float) -> Atoms:
    """A crystal repeated along its first lattice vector to at least this length."""
    return atoms.repeat((int(np.ceil(length / atoms.cell.lengths()[0])), 1, 1))


def response(setting: Setting, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Distances from a moved atom, A, and changes of the forces, eV/A, both ascending by place."""
    pushed = atoms.copy()
    pushed.positions[0, 0] += PUSH
    before, after = setting.potential.evaluate([atoms, pushed])
    change = np.linalg.norm(after.forces - before.forces, axis=1)
    distances = np.minimum(
        atoms.get_distances(0, range(len(atoms)), mic=True),
        pushed.get_distances(0, range(len(atoms)), mic=True),
    )
    order = np.argsort(distances)
    return distances[order], change[order]


def run(setting: Setting) -> Outcome:
    """The largest change of a force beyond the reach of the model.

    An atom's energy depends on atoms within the reach, so two atoms feel each other's moves within
    twice the reach, through the energies of atoms between them.
    """
    found = crystals(setting.elements, 1)
    if not found:
        raise LeftOutError("the head does not know the elements of any crystal")
    farthest = 2 * setting.reach
    long = bar(found[0], 2 * farthest + 4.0)
    distances, change = response(setting, long)
    beyond = change[distances > farthest + PUSH]
    drawing = curves(
        "Change of forces when one atom moves",
        "distance, A",
        "log10 of the change, eV/A",
        [
            line(
                long.symbols.formula.reduce()[0].format(),
                distances[1:],
                np.log10(np.maximum(change[1:], FLOOR)),
            )
        ],
    )
    return Outcome(
        values=(
            law(
                f"force beyond {farthest:g} A",
                float(beyond.max(initial=0.0)),
                "eV/A",
                TOLERANCE,
                "an atom is felt beyond the reach of the model: parallel runs go wrong",
            ),
        ),
        drawings=(drawing,),
    )


TASK = Task(
    name="locality",
    title="How far a moved atom is felt",
    domain=Domain.PHYSICS,
    reference=PHYSICAL_LAW,
    computes="Change of all forces in a long crystal when one atom moves by 0.1 A.",
    run=run,
    cost=1.0,
)
