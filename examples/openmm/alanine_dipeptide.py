"""Alanine dipeptide in vacuum: Langevin dynamics with mhff, and a Ramachandran plot."""

import argparse
import sys

import matplotlib.pyplot as plt
import mdtraj
import ramachandran
from openmm import LangevinMiddleIntegrator, app, unit
from openmmml import MLPotential

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100_000, help="0.5 fs each")
steps = parser.parse_args().steps
every = max(1, steps // 2000)

pdb = app.PDBFile("alanine-dipeptide.pdb")
potential = MLPotential("mhff", modelPath="mini")
system = potential.createSystem(pdb.topology, head="molecules")

temperature = 300 * unit.kelvin
timestep = 0.5 * unit.femtosecond
integrator = LangevinMiddleIntegrator(temperature, 1 / unit.picosecond, timestep)
simulation = app.Simulation(pdb.topology, system, integrator)
simulation.context.setPositions(pdb.positions)
simulation.minimizeEnergy(maxIterations=100)
simulation.context.setVelocitiesToTemperature(temperature)

simulation.reporters.append(app.XTCReporter("alanine-dipeptide.xtc", every))
columns = {"time": True, "potentialEnergy": True, "temperature": True, "speed": True}
simulation.reporters.append(app.StateDataReporter(sys.stdout, max(1, steps // 10), **columns))
simulation.step(steps)
simulation.reporters.clear()  # closes the file

trajectory = mdtraj.load("alanine-dipeptide.xtc", top="alanine-dipeptide.pdb")
figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
axes.set_title("Alanine dipeptide in vacuum, 300 K")
ramachandran.draw(axes, trajectory)
figure.savefig("alanine-dipeptide.png", dpi=150)
