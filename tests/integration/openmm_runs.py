"""Running a real OpenMM in tests: structures to Systems, Contexts to arrays, and comparisons."""

from __future__ import annotations

import subprocess
import sys
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
FRESH_PROCESS = """
import sys
import numpy as np, openmm
system = openmm.XmlSerializer.deserialize(open(sys.argv[1]).read())
assert "torch" not in sys.modules, "the model is loaded at the first call, not before"
reference = openmm.Platform.getPlatformByName("Reference")
context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
context.setPositions(np.load(sys.argv[2]))
state = context.getState(energy=True, forces=True)
energy = state.getPotentialEnergy()._value
np.savez(sys.argv[3], energy=energy, forces=state.getForces(asNumpy=True)._value)
"""


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


def run_fresh(
    system: openmm.System, positions: np.ndarray, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Read a System in another process, which writes energy and forces to results.npz."""
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(folder / "positions.npy", positions / ANGSTROM_PER_NM)
    files = [str(folder / name) for name in ("system.xml", "positions.npy", "results.npz")]
    return subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS, *files],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
