"""Cohesive energies of the elements at the level of r2SCAN."""

from __future__ import annotations

from functools import partial

from mhff_suite.cohesion import reference, run
from mhff_suite.protocol import Domain, Task

TASK = Task(
    name="matpes-r2scan",
    title="Elements: cohesive energies, r2SCAN",
    domain=Domain.CRYSTALS,
    reference=reference("r2SCAN"),
    computes="Energy of the stable crystal minus the head's reference energy (E0), unrelaxed.",
    run=partial(run, functional="r2SCAN"),
    cost=1.0,
)
