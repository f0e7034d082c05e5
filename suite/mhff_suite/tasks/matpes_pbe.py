"""Cohesive energies of the elements at the level of PBE."""

from __future__ import annotations

from functools import partial

from mhff_suite.cohesion import reference, run
from mhff_suite.protocol import Domain, Task

TASK = Task(
    name="matpes-pbe",
    title="Elements: cohesive energies, PBE",
    domain=Domain.CRYSTALS,
    reference=reference("PBE"),
    computes="Energy of the stable crystal minus the head's reference energy (E0), unrelaxed.",
    run=partial(run, functional="PBE"),
    cost=1.0,
)
