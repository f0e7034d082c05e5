"""The OpenMM part of `mhff demo`: dynamics of a water cluster with the `molecules` head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from ase import Atoms
from ase.build import molecule
from matplotlib.axes import Axes
from openmm import app, unit

from mhff.demo import COLOURS, MODEL
from mhff.engines import Panel
from mhff_openmm.adapter import KJ_PER_MOL_PER_EV
from mhff_openmm.force import add_mhff_force
from mhff_openmm.systems import system_of

N_WATERS = 4
SPACING = 2.9
"""Distance of neighbouring oxygens at the start, A."""
TEMPERATURE = 300.0
"""Temperature at the start, K."""
STEP = 0.5e-3
"""Time step, ps."""
DURATION = 2.0
"""Length of the dynamics, ps."""
FRAMES = 200
"""Frames of the trajectory."""


def water_ring() -> Atoms:
    """Four waters on a square, turned so that each points one hydrogen at the next."""
    cluster = Atoms()
    for index in range(N_WATERS):
        water = molecule("H2O")
        water.rotate(water.positions[1] - water.positions[0], "x")
        water.translate([-SPACING / 2, -SPACING / 2, 0.0] - water.positions[0])
        water.rotate(90.0 * index, "z")
        cluster += water
    return cluster


def water_dynamics(out: Path, say: Callable[[str], None]) -> Panel:
    """2 ps of a water cluster at constant energy, saved as DCD and read back with mdtraj."""
    atoms = water_ring()
    simulation = _simulation(atoms)
    simulation.minimizeEnergy(maxIterations=50)
    simulation.context.setVelocitiesToTemperature(TEMPERATURE * unit.kelvin, 1)
    trajectory = out / "water.dcd"
    topology_file = out / "water.pdb"
    positions = simulation.context.getState(getPositions=True).getPositions()
    with topology_file.open("w") as stream:
        app.PDBFile.writeFile(simulation.topology, positions, stream)
    times, potential, total = _run(simulation, trajectory)
    read_back = mdtraj.load(str(trajectory), top=str(topology_file))
    drift = np.polyfit(times, total, 1)[0] * DURATION / len(atoms)
    say(
        f"water cluster in OpenMM, head molecules (wB97M-D3(BJ)): {DURATION:g} ps, {len(atoms)} "
        f"atoms, energy drift {1e3 * drift:+.4f} meV per atom; {trajectory} has "
        f"{read_back.n_frames} frames"
    )

    def draw(axes: Axes) -> None:
        colour = COLOURS["molecules"]
        axes.plot(times, potential - total[0], color=colour, lw=1.2, label="potential")
        axes.plot(times, total - total[0], color="0.2", lw=1.8, label="total")
        axes.set(xlabel="time / ps", ylabel="energy / eV")
        axes.legend(frameon=False)

    return Panel(f"{N_WATERS} waters at constant energy: head molecules, OpenMM", draw)


def _simulation(atoms: Atoms) -> app.Simulation:
    system, topology = system_of(atoms, "HOH", residue_size=3)
    add_mhff_force(system, topology, MODEL, head="molecules", form="torchscript")
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, openmm.VerletIntegrator(STEP), platform)
    simulation.context.setPositions(atoms.positions * unit.angstrom)
    return simulation


def _run(simulation: app.Simulation, trajectory: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, ps, potential and total energies, eV, of each frame; writes the frames as DCD."""
    n_steps = round(DURATION / STEP) // FRAMES
    simulation.reporters.append(app.DCDReporter(str(trajectory), n_steps))
    rows = []
    for _ in range(FRAMES):
        simulation.step(n_steps)
        state = simulation.context.getState(getEnergy=True)
        potential = _electronvolts(state.getPotentialEnergy())
        kinetic = _electronvolts(state.getKineticEnergy())
        rows.append(
            (state.getTime().value_in_unit(unit.picosecond), potential, potential + kinetic)
        )
    simulation.reporters.clear()
    times, potentials, totals = np.array(rows).T
    return times, potentials, totals


def _electronvolts(energy: unit.Quantity) -> float:
    return float(energy.value_in_unit(unit.kilojoule_per_mole)) / KJ_PER_MOL_PER_EV
