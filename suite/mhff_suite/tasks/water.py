"""Liquid water: distances between oxygen atoms."""

from __future__ import annotations

import numpy as np

from mhff_suite.errors import curves, law, line
from mhff_suite.outcome import Outcome
from mhff_suite.physics.dynamics import radial_distribution, sample, water_box
from mhff_suite.physics.relaxation import settled
from mhff_suite.protocol import WITH_DISPERSION, Domain, Reference, Setting, Task
from mhff_suite.tasks.ice import n_whole

PEAK = 2.80
"""Distance of the first neighbours, A."""
HEIGHT = 2.57
N_PER_SIDE = 4
N_WAIT = 600
N_STEPS = 1400
N_QUICK = 60
EVERY = 20
FIRST_SHELL = (2.3, 3.4)
"""Distances between which the first peak is looked for, A."""


def run(setting: Setting) -> Outcome:
    """Errors of the first peak, and molecules that fall apart."""
    start = water_box(N_PER_SIDE)
    start = settled(setting.potential, start)
    n_wait, n_steps = (N_QUICK, N_QUICK) if setting.quick else (N_WAIT, N_STEPS)
    structures = sample(setting.potential, start, n_wait, n_steps, EVERY)
    n_molecules = N_PER_SIDE**3
    broken = [1 - n_whole(atoms) / n_molecules for atoms in structures]
    distances, density = radial_distribution(structures, "O")
    near = (distances > FIRST_SHELL[0]) & (distances < FIRST_SHELL[1])
    place = float(distances[near][np.argmax(density[near])])
    height = float(density[near].max())
    return Outcome(
        values=(
            law("error of the first O-O distance", abs(place - PEAK), "A", 0.05, ""),
            law("error of the first O-O peak", abs(height - HEIGHT), "g(r)", 0.5, ""),
            law(
                "molecules that fall apart",
                100 * float(np.mean(broken)),
                "%",
                0.5,
                "water molecules do not stay whole at 300 K",
            ),
        ),
        drawings=(
            curves(
                "Oxygen in liquid water",
                "distance, A",
                "g(r)",
                [
                    line("head", distances, density),
                    line("experiment: first peak", [PEAK, PEAK], [0.0, HEIGHT], True),
                ],
            ),
        ),
        notes=(f"First peak {height:.2f} at {place:.2f} A.",),
    )


TASK = Task(
    name="water",
    title="Liquid water",
    domain=Domain.DYNAMICS,
    reference=Reference(
        "experiment (X-rays)",
        "L. B. Skinner et al., J. Chem. Phys. 138, 074506 (2013)",
        "facts",
        WITH_DISPERSION,
    ),
    computes="Radial distribution of 64 molecules at 300 K and the density of water, over 0.7 ps.",
    run=run,
    cost=60.0,
    needs=("H", "O"),
    in_quick=False,
)
