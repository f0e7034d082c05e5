"""The engine `openmm` of `mhff bench`: steps of constant-energy dynamics in an OpenMM Context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openmm
from ase import Atoms
from openmm import app, unit

from mhff.engines import atoms_of
from mhff_openmm.adapter import KJ_PER_MOL_PER_EV
from mhff_openmm.force import add_mhff_force

STEP = 0.5e-3
"""Time step, ps."""
TEMPERATURE = 300.0
"""Of the dynamics, K."""


class OpenMM:
    """Dynamics in OpenMM, whose integrator and our neighbour list take part in a step."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.platform = openmm.Platform.getPlatformByName("CPU")
        self.about = {"openmm": openmm.version.version, "platform": self.platform.getName()}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `mhff.engines.Steps`."""
        atoms = atoms_of(system)
        topology, described = topology_of(atoms), openmm.System()
        for mass in atoms.get_masses():
            described.addParticle(mass)
        described.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
        chosen = {name: self.options[name] for name in ("head", "dtype", "form")}
        add_mhff_force(described, topology, self.options["model"], **chosen)
        integrator, threads = (
            openmm.VerletIntegrator(STEP),
            {"Threads": str(self.options["threads"])},
        )
        context = openmm.Context(described, integrator, self.platform, threads)
        context.setPositions(atoms.positions * unit.angstrom)
        context.setVelocitiesToTemperature(TEMPERATURE * unit.kelvin, 1)
        self.integrator, self.context = integrator, context
        energy = context.getState(getEnergy=True).getPotentialEnergy()
        return float(energy.value_in_unit(unit.kilojoule_per_mole)) / KJ_PER_MOL_PER_EV

    def run(self, n_steps: int) -> None:
        """See `mhff.engines.Steps`."""
        self.integrator.step(n_steps)


def topology_of(atoms: Atoms) -> app.Topology:
    """A topology of one residue with the atoms' elements and their cell, which is orthorhombic."""
    topology = app.Topology()
    residue = topology.addResidue("ALL", topology.addChain())
    for atom in atoms:
        topology.addAtom(
            f"{atom.symbol}{atom.index}", app.Element.getBySymbol(atom.symbol), residue
        )
    topology.setPeriodicBoxVectors(
        tuple(openmm.Vec3(*row) for row in atoms.cell[:]) * unit.angstrom
    )
    return topology
