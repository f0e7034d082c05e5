"""Dynamics without a thermostat conserves the energy."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mhff_suite.errors import curves, law, line
from mhff_suite.outcome import Outcome
from mhff_suite.physics.dynamics import conserve
from mhff_suite.physics.samples import crystals, molecules
from mhff_suite.protocol import PHYSICAL_LAW, Domain, Setting, Task

TEMPERATURE = 300.0
TIME_STEP = 1.0
"""fs; half of it with hydrogen."""
N_STEPS = 2000
N_QUICK = 100
DRIFT = 0.1
"""meV per atom and ps."""
FLUCTUATION = 0.5
"""meV per atom."""
MIN_LENGTH = 7.5
"""Length of a cell vector, A."""


def systems(setting: Setting) -> dict[str, Atoms]:
    """A crystal of some 50 atoms, and a molecule, by name."""
    found = {}
    for atoms in crystals(setting.elements, 1):
        repeats = np.maximum(1, np.ceil(MIN_LENGTH / atoms.cell.lengths())).astype(int)
        found["crystal"] = atoms.repeat(tuple(repeats.tolist()))
    for atoms in molecules(setting.elements, 1):
        found["molecule"] = atoms
    return found


def run(setting: Setting) -> Outcome:
    """Drift and fluctuation of the total energy."""
    n_steps = N_QUICK if setting.quick else N_STEPS
    values = []
    lines = []
    for name, atoms in systems(setting).items():
        step = TIME_STEP / 2 if "H" in atoms.get_chemical_symbols() else TIME_STEP
        found = conserve(setting.potential, atoms, step, n_steps, TEMPERATURE)
        values += [
            law(
                f"{name}: drift",
                abs(found.drift),
                "meV/atom/ps",
                DRIFT,
                f"the total energy of a {name} drifts",
            ),
            law(
                f"{name}: fluctuation",
                found.fluctuation,
                "meV/atom",
                FLUCTUATION,
                f"the total energy of a {name} fluctuates: take shorter time steps",
            ),
        ]
        formula = atoms.symbols.formula.reduce()[0].format()
        lines.append(line(formula, found.times, found.totals))
    drawing = curves("Total energy without a thermostat", "time, ps", "meV/atom", lines)
    return Outcome(values=tuple(values), drawings=(drawing,))


TASK = Task(
    name="nve",
    title="Conservation of energy",
    domain=Domain.DYNAMICS,
    reference=PHYSICAL_LAW,
    computes="NVE dynamics at 300 K, steps of 1 fs, or 0.5 fs with hydrogen.",
    run=run,
    cost=15.0,
)
