"""Running a real OpenMM in tests: structures to Systems, Contexts to arrays, and comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openmm
from ase import Atoms
from openmm import app, unit

from mhff_openmm import add_mhff_force
from mhff_openmm.adapter import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV

SAME_PROGRAM = 1e-11
"""eV per atom and eV/A, where only the order of sums differs."""
MIX = {"materials": 0.25, "molecules": 0.75}


def reduced(atoms: Atoms) -> Atoms:
    """The same structure, rotated, with its box in OpenMM's reduced form."""
    if not atoms.pbc.any():
        return atoms
    standard, rotation = atoms.cell.standard_form()
    box = app.internal.unitcell.reducePeriodicBoxVectors(np.asarray(standard[:]) * unit.angstrom)
    cell = np.array([list(row.value_in_unit(unit.angstrom)) for row in box])
    return Atoms(atoms.symbols, positions=atoms.positions @ rotation.T, cell=cell, pbc=True)


def add(
    system: openmm.System, topology: app.Topology, model: Path | str, **arguments: Any
) -> openmm.PythonForce:
    """`add_mhff_force` without compiling."""
    return add_mhff_force(system, topology, model, **{"form": "eager"} | arguments)


def start(
    system: openmm.System,
    positions: np.ndarray,
    platform: str = "Reference",
    integrator: openmm.Integrator | None = None,
) -> openmm.Context:
    """Context of a System at positions in A."""
    integrator = integrator or openmm.VerletIntegrator(0.0005)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    context.setPositions(positions / ANGSTROM_PER_NM)
    return context


def read(context: openmm.Context) -> tuple[float, np.ndarray]:
    """Energy, eV, and forces, eV/A."""
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    return energy / KJ_PER_MOL_PER_EV, forces / (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM)


def assert_same(
    got: tuple[float, np.ndarray],
    expected: tuple[float, np.ndarray],
    energy: float = SAME_PROGRAM,
    force: float = SAME_PROGRAM,
) -> None:
    assert abs(got[0] - expected[0]) <= energy * len(expected[1])
    assert np.abs(got[1] - expected[1]).max() <= force
