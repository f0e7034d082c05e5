"""A box of liquid water, described by mhff alone, at constant pressure."""

import argparse
import sys

import matplotlib.pyplot as plt
import mdtraj
import numpy as np
import openmm
from openmm import LangevinMiddleIntegrator, MonteCarloBarostat, app, unit

from mhff_openmm import add_mhff_force

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=20_000, help="0.5 fs each")
parser.add_argument("--box", type=float, default=1.25, help="edge of the box at the start, nm")
options = parser.parse_args()
every = max(1, options.steps // 400)

# OpenMM's own box of TIP3P water, relaxed, gives the start
forcefield = app.ForceField("amber14/tip3p.xml")
water = app.Modeller(app.Topology(), [])
water.addSolvent(forcefield, boxSize=openmm.Vec3(*3 * [options.box]) * unit.nanometer)

system = openmm.System()
system.setDefaultPeriodicBoxVectors(*water.topology.getPeriodicBoxVectors())
for atom in water.topology.atoms():
    system.addParticle(atom.element.mass)
add_mhff_force(system, water.topology, "mini", head="molecules")

# A barostat moves molecules as wholes, and OpenMM knows them by their bonds. mhff has none, so tell
# it by bonds without force; otherwise each trial move would stretch every O-H bond.
molecules = openmm.HarmonicBondForce()
for bond in water.topology.bonds():
    molecules.addBond(bond.atom1.index, bond.atom2.index, 0.1, 0.0)
system.addForce(molecules)
temperature = 300 * unit.kelvin
system.addForce(MonteCarloBarostat(1 * unit.bar, temperature))

timestep = 0.5 * unit.femtosecond
integrator = LangevinMiddleIntegrator(temperature, 1 / unit.picosecond, timestep)
simulation = app.Simulation(water.topology, system, integrator)
simulation.context.setPositions(water.positions)
simulation.minimizeEnergy(maxIterations=50)
simulation.context.setVelocitiesToTemperature(temperature)

with open("liquid.pdb", "w") as file:
    app.PDBFile.writeFile(water.topology, water.positions, file)
columns = {"time": True, "potentialEnergy": True, "temperature": True, "density": True}
simulation.reporters.extend(
    [
        app.DCDReporter("liquid.dcd", every, enforcePeriodicBox=False),
        app.StateDataReporter("liquid.csv", every, **columns),
        app.StateDataReporter(sys.stdout, max(1, options.steps // 10), speed=True, **columns),
    ]
)
simulation.step(options.steps)
simulation.reporters.clear()  # closes the files

time, _, _, density = np.loadtxt("liquid.csv", delimiter=",", skiprows=1, ndmin=2).T
trajectory = mdtraj.load("liquid.dcd", top="liquid.pdb")
equilibrated = trajectory[len(trajectory) // 2 :]
oxygens = trajectory.topology.select_pairs("element O", "element O")
farthest = 0.5 * float(trajectory.unitcell_lengths.min())
r, g = mdtraj.compute_rdf(equilibrated, oxygens, r_range=(0.2, farthest), n_bins=60)
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
figure.suptitle(f"{system.getNumParticles() // 3} molecules of water (mhff), 300 K, 1 bar")
left.plot(time, density)
left.set(xlabel="time / ps", ylabel="density / g cm$^{-3}$")
right.plot(10 * r, g)
right.set(xlabel="O-O distance / Å", ylabel="g(r), second half")
figure.savefig("liquid.png", dpi=150)
