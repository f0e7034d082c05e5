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

N_WATERS = 4
SPACING = 2.9
"""Between the oxygens of the start structure, A."""
TEMPERATURE = 300.0
STEP = 0.5e-3
"""Time step, ps."""
DURATION = 2.0
"""Of the dynamics, ps."""
FRAMES = 200


def water_ring() -> Atoms:
    """Four waters on a square, turned so that each points a hydrogen at the next."""
    cluster = Atoms()
    for index in range(N_WATERS):
        water = molecule("H2O")
        water.rotate(water.positions[1] - water.positions[0], "x")
        water.translate([-SPACING / 2, -SPACING / 2, 0.0] - water.positions[0])
        water.rotate(90.0 * index, "z")
        cluster += water
    return cluster


def topology_of(atoms: Atoms) -> app.Topology:
    """OpenMM topology of a cluster of waters given as O H H, O H H, ..."""
    topology = app.Topology()
    chain = topology.addChain()
    for start in range(0, len(atoms), 3):
        residue = topology.addResidue("HOH", chain)
        oxygen, *hydrogens = (
            topology.addAtom(
                f"{atom.symbol}{atom.index - start}", app.Element.getBySymbol(atom.symbol), residue
            )
            for atom in atoms[start : start + 3]
        )
        for hydrogen in hydrogens:
            topology.addBond(oxygen, hydrogen)
    return topology


def water_dynamics(out: Path, say: Callable[[str], None]) -> Panel:
    """2 ps of a water cluster at constant energy; writes a DCD trajectory and reads it back with
    mdtraj.
    """
    atoms = water_ring()
    simulation = _simulation(atoms)
    simulation.minimizeEnergy(maxIterations=50)
    simulation.context.setVelocitiesToTemperature(TEMPERATURE * unit.kelvin, 1)
    n_steps = round(DURATION / STEP)
    trajectory, topology_file = out / "water.dcd", out / "water.pdb"
    positions = simulation.context.getState(getPositions=True).getPositions()
    with topology_file.open("w") as stream:
        app.PDBFile.writeFile(simulation.topology, positions, stream)
    simulation.reporters.append(app.DCDReporter(str(trajectory), n_steps // FRAMES))
    times, potential, total = [], [], []
    for _ in range(FRAMES):
        simulation.step(n_steps // FRAMES)
        state = simulation.context.getState(getEnergy=True)
        times.append(state.getTime().value_in_unit(unit.picosecond))
        potential.append(_electronvolts(state.getPotentialEnergy()))
        total.append(potential[-1] + _electronvolts(state.getKineticEnergy()))
    simulation.reporters.clear()
    read_back = mdtraj.load(str(trajectory), top=str(topology_file))
    drift = np.polyfit(times, total, 1)[0] * DURATION / len(atoms)
    say(
        f"water cluster in OpenMM, head molecules (wB97M-D3(BJ)): {DURATION:g} ps, {len(atoms)} "
        "atoms, "
        f"energy drift {1e3 * drift:+.4f} meV per atom; {trajectory} has {read_back.n_frames} "
        "frames"
    )

    def draw(axes: Axes) -> None:
        axes.plot(
            times,
            np.array(potential) - total[0],
            color=COLOURS["molecules"],
            lw=1.2,
            label="potential",
        )
        axes.plot(times, np.array(total) - total[0], color="0.2", lw=1.8, label="total")
        axes.set(xlabel="time / ps", ylabel="energy / eV")
        axes.legend(frameon=False)

    return Panel(f"{N_WATERS} waters at constant energy: head molecules, OpenMM", draw)


def _simulation(atoms: Atoms) -> app.Simulation:
    topology, system = topology_of(atoms), openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    add_mhff_force(system, topology, MODEL, head="molecules", form="torchscript")
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, openmm.VerletIntegrator(STEP), platform)
    simulation.context.setPositions(atoms.positions * unit.angstrom)
    return simulation


def _electronvolts(energy: unit.Quantity) -> float:
    return float(energy.value_in_unit(unit.kilojoule_per_mole)) / KJ_PER_MOL_PER_EV
