"""Alanine dipeptide, described by mhff, in TIP3P water: NPT dynamics of an ML/MM system."""

import argparse
import sys

import matplotlib.pyplot as plt
import mdtraj
import ramachandran
from openmm import LangevinMiddleIntegrator, MonteCarloBarostat, app, unit
from openmmml import MLPotential

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=40_000, help="0.5 fs each")
steps = parser.parse_args().steps
every = max(1, steps // 1000)

# the MM system: OpenMM's own force fields
pdb = app.PDBFile("alanine-dipeptide.pdb")
ml_atoms = range(pdb.topology.getNumAtoms())
forcefield = app.ForceField("amber14-all.xml", "amber14/tip3p.xml")
solution = app.Modeller(pdb.topology, pdb.positions)
solution.addSolvent(forcefield, padding=1.2 * unit.nanometer)
mm_system = forcefield.createSystem(
    solution.topology,
    nonbondedMethod=app.PME,
    nonbondedCutoff=0.9 * unit.nanometer,
    constraints=app.HBonds,
)

# mhff takes over the interactions within the dipeptide, which loses its constraints
potential = MLPotential("mhff", modelPath="mini")
system = potential.createMixedSystem(solution.topology, mm_system, ml_atoms, head="molecules")

temperature = 300 * unit.kelvin
timestep = 0.5 * unit.femtosecond
system.addForce(MonteCarloBarostat(1 * unit.bar, temperature))
integrator = LangevinMiddleIntegrator(temperature, 1 / unit.picosecond, timestep)
simulation = app.Simulation(solution.topology, system, integrator)
simulation.context.setPositions(solution.positions)
simulation.minimizeEnergy(maxIterations=100)
simulation.context.setVelocitiesToTemperature(temperature)

with open("solution.pdb", "w") as file:
    app.PDBFile.writeFile(solution.topology, solution.positions, file)
# OpenMM does not know the bonds of mhff, and would wrap the dipeptide atom by atom
trajectory_file = app.XTCReporter("solution.xtc", every, enforcePeriodicBox=False)
columns = {"time": True, "potentialEnergy": True, "temperature": True, "density": True}
log = app.StateDataReporter(sys.stdout, max(1, steps // 10), speed=True, **columns)
simulation.reporters.extend([trajectory_file, log])
simulation.step(steps)
simulation.reporters.clear()  # closes the file

trajectory = mdtraj.load("solution.xtc", top="solution.pdb")
waters = trajectory.topology.select("water and element O")
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
figure.suptitle("Alanine dipeptide (mhff) in TIP3P water, 300 K, 1 bar")
ramachandran.draw(left, trajectory)
for label, selection in {"C=O": "protein and name O", "N-H": "protein and name H"}.items():
    pairs = trajectory.topology.select_pairs(selection, waters)
    r, g = mdtraj.compute_rdf(trajectory, pairs, r_range=(0.1, 0.8), n_bins=70)
    right.plot(10 * r, g, label=f"{label} to water O")
right.set(xlabel="distance / Å", ylabel="g(r)")
right.legend(frameon=False)
figure.savefig("solution.png", dpi=150)
