"""Water clusters for the examples of several levels of theory."""

import numpy as np
import openmm
from ase.build import molecule
from openmm import LangevinMiddleIntegrator, app, unit

from mhff_openmm import add_mhff_force

TEMPERATURE = 300 * unit.kelvin
FRICTION = 50 / unit.picosecond
"""Few molecules exchange energy slowly among themselves: a strong bath makes frames independent."""
TIMESTEP = 0.5 * unit.femtosecond
SEED = 1
WALL = "500*max(0, sqrt(x^2 + y^2 + z^2) - 0.45)^2"
"""Energy, kJ/mol, that keeps molecules from evaporating, farther than 0.45 nm from the centre."""


def water_cluster(n_waters, **theory):
    """A Simulation of waters at 300 K; `theory` is `head=` or `path=` of add_mhff_force."""
    system = openmm.System()
    topology = app.Topology()
    chain = topology.addChain()
    wall = openmm.CustomExternalForce(WALL)
    positions = []
    side = int(np.ceil(n_waters ** (1 / 3)))
    for number in range(n_waters):
        water = molecule("H2O")
        water.rotate(50 * number, "x")
        place = np.array(np.unravel_index(number, (side, side, side))) - (side - 1) / 2
        positions.extend(0.1 * water.positions + 0.3 * place)
        residue = topology.addResidue("HOH", chain)
        for atom in water:
            element = app.Element.getBySymbol(atom.symbol)
            topology.addAtom(f"{atom.symbol}{atom.index}", element, residue)
            wall.addParticle(system.addParticle(element.mass))
    system.addForce(wall)
    add_mhff_force(system, topology, "mini", **theory)
    integrator = LangevinMiddleIntegrator(TEMPERATURE, FRICTION, TIMESTEP)
    integrator.setRandomNumberSeed(SEED)
    simulation = app.Simulation(topology, system, integrator)
    simulation.context.setPositions(positions)
    simulation.minimizeEnergy(maxIterations=100)
    simulation.context.setVelocitiesToTemperature(TEMPERATURE, SEED)
    return simulation
