"""Crystals resist compression and expansion: one minimum, no holes."""

from __future__ import annotations

import numpy as np

from mhff_suite.errors import curves, law, line
from mhff_suite.outcome import Outcome
from mhff_suite.physics.equation_of_state import energies_per_atom
from mhff_suite.physics.samples import crystals
from mhff_suite.protocol import PHYSICAL_LAW, Domain, LeftOutError, Setting, Task

VOLUMES = np.linspace(0.45, 1.9, 59)
"""Relative to the crystal's usual volume."""
TOLERANCE = 0.05
"""Depth of a hole, eV per atom."""
N_CRYSTALS = 6
N_QUICK = 2
MAX_HEIGHT = 6.0
"""eV per atom, of the figure."""


def hole(energies: np.ndarray) -> float:
    """Depth to which the energy falls again on the way from the minimum to the end."""
    return float((np.maximum.accumulate(energies) - energies).max())


def holes(energies: np.ndarray) -> tuple[float, float]:
    """Holes on the way to small and to large volumes, eV per atom.

    The minimum is the lowest energy between 0.8 and 1.3 times the usual volume.
    """
    near = np.flatnonzero((VOLUMES > 0.8) & (VOLUMES < 1.3))
    lowest = int(near[np.argmin(energies[near])])
    return hole(energies[lowest::-1]), hole(energies[lowest:])


def run(setting: Setting) -> Outcome:
    """The deepest holes, over several crystals."""
    found = crystals(setting.elements, N_QUICK if setting.quick else N_CRYSTALS)
    if not found:
        raise LeftOutError("the head does not know the elements of any crystal")
    lines = []
    depths = []
    names = []
    for atoms in found:
        energies = energies_per_atom(setting.potential, atoms, VOLUMES)
        names.append(atoms.symbols.formula.reduce()[0].format())
        depths.append(holes(energies))
        lines.append(line(names[-1], VOLUMES, energies - energies[np.argmin(abs(VOLUMES - 1))]))
    inward, outward = np.array(depths).T
    drawing = curves("Energy under pressure", "volume, relative", "energy, eV/atom", lines)
    return Outcome(
        values=(
            law(
                "deepest hole in compression",
                inward.max(),
                "eV/atom",
                TOLERANCE,
                f"{names[int(inward.argmax())]} collapses when compressed",
            ),
            law(
                "deepest hole in expansion",
                outward.max(),
                "eV/atom",
                TOLERANCE,
                f"{names[int(outward.argmax())]} falls apart when stretched",
            ),
        ),
        drawings=(drawing.model_copy(update={"y_limits": (-1.0, MAX_HEIGHT)}),),
    )


TASK = Task(
    name="compression",
    title="Crystals compressed and expanded",
    domain=Domain.PHYSICS,
    reference=PHYSICAL_LAW,
    computes="Energy from 0.45 to 1.9 times the volume; a hole is a fall on the way outward.",
    run=run,
    cost=3.0,
)
