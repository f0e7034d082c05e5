"""Held-out structures of materials.extxyz."""

from __future__ import annotations

from functools import partial

from mhff_suite.held_out import reference, run
from mhff_suite.protocol import Domain, Task

TASK = Task(
    name="held-out-materials",
    title="Strained and rattled crystals",
    domain=Domain.CRYSTALS,
    reference=reference("PBE, PAW, plane waves 400 eV (GPAW)", "PBE"),
    computes="Forces, and energies after a fit per element, on the test part of the shipped data.",
    run=partial(run, name="materials"),
    cost=1.0,
)
