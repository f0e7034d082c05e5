"""Held-out structures of molecules.extxyz."""

from __future__ import annotations

from functools import partial

from mhff_suite.held_out import reference, run
from mhff_suite.protocol import Domain, Task

TASK = Task(
    name="held-out-molecules",
    title="Hot molecules and clusters",
    domain=Domain.MOLECULES,
    reference=reference("wB97M-D3(BJ)/def2-SVP (PySCF)", "wB97M-D3"),
    computes="Forces, and energies after a fit per element, on the test part of the shipped data.",
    run=partial(run, name="molecules"),
    cost=1.0,
)
