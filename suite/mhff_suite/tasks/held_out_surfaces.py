"""Held-out structures of surfaces.extxyz."""

from __future__ import annotations

from functools import partial

from mhff_suite.held_out import reference, run
from mhff_suite.protocol import Domain, Task

TASK = Task(
    name="held-out-surfaces",
    title="Molecules above MgO(100)",
    domain=Domain.SURFACES,
    reference=reference("RPBE, PAW, plane waves 400 eV (GPAW)", "RPBE"),
    computes="Forces, and energies after a fit per element, on the test part of the shipped data.",
    run=partial(run, name="surfaces"),
    cost=1.0,
)
