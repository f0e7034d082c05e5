"""Alanine dipeptide with mhff in outer time steps, and bonds and angles of Amber in inner ones.

Amber's bonds and angles vibrate at nearly the same frequencies. So inner steps follow them, and
outer steps correct them by the difference: the motion is mhff's, with half as many evaluations.
That pays for models that cost much more than Amber; the bundled one is as cheap as inner steps.
"""

import argparse
import time

import matplotlib.pyplot as plt
import numpy as np
import openmm
from openmm import app, unit

from mhff_openmm import add_mhff_force

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2_000, help="outer steps of 2 fs")
steps = parser.parse_args().steps
OUTER = 2.0 * unit.femtosecond

pdb = app.PDBFile("alanine-dipeptide.pdb")
forcefield = app.ForceField("amber14/protein.ff14SB.xml")


def mhff_alone() -> openmm.System:
    """Every force by mhff."""
    system = openmm.System()
    for atom in pdb.topology.atoms():
        system.addParticle(atom.element.mass)
    add_mhff_force(system, pdb.topology, "mini", head="molecules")
    return system


def split() -> openmm.System:
    """Group 0: Amber's bonds and angles. Group 1: mhff less these."""
    system = mhff_alone()
    system.getForce(0).setForceGroup(1)
    amber = forcefield.createSystem(pdb.topology, removeCMMotion=False)
    for force in amber.getForces():
        if isinstance(force, openmm.HarmonicBondForce | openmm.HarmonicAngleForce):
            system.addForce(openmm.XmlSerializer.clone(force))
            system.addForce(negative(force))
    return system


def negative(force: openmm.Force) -> openmm.Force:
    """The opposite of harmonic bonds or angles, in group 1."""
    opposite = openmm.XmlSerializer.clone(force)
    opposite.setForceGroup(1)
    kind = "Bond" if isinstance(force, openmm.HarmonicBondForce) else "Angle"
    for index in range(getattr(force, f"getNum{kind}s")()):
        *others, constant = getattr(force, f"get{kind}Parameters")(index)
        getattr(opposite, f"set{kind}Parameters")(index, *others, -constant)
    return opposite


WAYS = {
    "mhff every 0.5 fs": (mhff_alone(), openmm.VerletIntegrator(0.25 * OUTER)),
    "mhff every 1 fs": (mhff_alone(), openmm.VerletIntegrator(0.5 * OUTER)),
    "mhff every 2 fs": (mhff_alone(), openmm.VerletIntegrator(OUTER)),
    "mhff every 2 fs, Amber every 0.5 fs": (split(), openmm.MTSIntegrator(OUTER, [(1, 1), (0, 4)])),
}
"""Systems and integrators."""


def run(system: openmm.System, integrator: openmm.Integrator) -> tuple[np.ndarray, np.ndarray]:
    """Times, ps, and total energies, kJ/mol."""
    simulation = app.Simulation(pdb.topology, system, integrator)
    simulation.context.setPositions(pdb.positions)
    simulation.minimizeEnergy(maxIterations=200)
    simulation.context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
    times, energies = [], []
    per_sample = max(1, round(2 * OUTER / integrator.getStepSize()))
    for _ in range(max(2, steps // 2)):
        simulation.step(per_sample)
        state = simulation.context.getState(energy=True)
        total = state.getPotentialEnergy() + state.getKineticEnergy()
        times.append(state.getTime().value_in_unit(unit.picosecond))
        energies.append(total.value_in_unit(unit.kilojoule_per_mole))
    return np.array(times), np.array(energies)


figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
figure.suptitle("Alanine dipeptide at constant energy")
for label, (system, integrator) in WAYS.items():
    start = time.perf_counter()
    times, energies = run(system, integrator)
    seconds = (time.perf_counter() - start) / times[-1]
    spread = energies.std()
    print(f"{label}: {seconds:.2f} s per ps, energy within {spread:.3f} kJ/mol", flush=True)
    left.plot(times, energies - energies[0], lw=0.7)
    right.loglog(
        1 / integrator.getStepSize().value_in_unit(unit.picosecond), spread, "o", label=label
    )
left.set(xlabel="time / ps", ylabel="total energy / kJ mol$^{-1}$", ylim=(-10, 10))
right.set(xlabel="evaluations of mhff per ps", ylabel="its standard deviation / kJ mol$^{-1}$")
right.legend(frameon=False, fontsize="small")
figure.savefig("multiple-time-steps.png", dpi=150)
