"""An atom alone has the energy of an isolated atom."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mhff.errors import shortened
from mhff_suite.errors import law
from mhff_suite.outcome import Outcome
from mhff_suite.potential import energies
from mhff_suite.protocol import PHYSICAL_LAW, Domain, LeftOutError, Setting, Task

TOLERANCE = 0.05
"""eV."""


def run(setting: Setting) -> Outcome:
    """The largest difference of an atom alone and its E0."""
    symbols = [symbol for symbol in setting.elements if symbol in setting.E0s]
    if not symbols:
        raise LeftOutError("the model has no energies of isolated atoms")
    alone = energies(setting.potential, [Atoms(each, [[0.0, 0.0, 0.0]]) for each in symbols])
    expected = np.array([setting.E0s[each] for each in symbols])
    differences = np.abs(alone - expected)
    wrong = [each for each, off in zip(symbols, differences, strict=True) if off > TOLERANCE]
    return Outcome(
        values=(
            law(
                "atom alone, largest",
                float(differences.max()),
                "eV",
                TOLERANCE,
                f"atoms alone do not have their reference energy: {shortened(wrong, 8)}; energies "
                "of dissociation are off by this much",
            ),
        )
    )


TASK = Task(
    name="isolated",
    title="Isolated atoms",
    domain=Domain.PHYSICS,
    reference=PHYSICAL_LAW,
    computes="Energy of an atom alone against the head's reference energy (E0).",
    run=run,
    cost=0.5,
)
