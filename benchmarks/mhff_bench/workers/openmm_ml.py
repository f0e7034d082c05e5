"""openmm-ml with a model of mace-torch as a contender: constant-energy dynamics in OpenMM.

The conditions are those of our own engine `openmm` (`mhff_openmm.bench`). OpenMM, openmm-ml and
numpy only: this runs in peers' interpreters.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import openmm
import torch
from openmm import app, unit
from openmmml import MLPotential

TIMESTEP = 0.5e-3
"""Time step, ps."""
TEMPERATURE = 300.0
"""Temperature at the start, K."""
KJ_PER_MOL_PER_EV = 96.4853
"""The factor in openmm-ml's source."""
PRECISIONS = {"float32": "single", "float64": "double"}
"""openmm-ml's names."""


class OpenMMML:
    """Steps of velocity Verlet on OpenMM's CPU platform; a neighbour list is made in each."""

    def __init__(self, options: dict[str, Any]) -> None:
        torch.set_num_threads(options["threads"])
        self.options = options
        self.platform = openmm.Platform.getPlatformByName("CPU")
        packages = ("openmmml", "openmm", "mace-torch", "torch")
        self.about = {package: version(package) for package in packages}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        topology = topology_of(system)
        potential = MLPotential("mace", modelPath=self.options["model"])
        # it takes the first head of a model, whatever its name
        described = potential.createSystem(
            topology,
            removeCMMotion=False,
            precision=PRECISIONS[self.options["dtype"]],
            returnEnergyType="energy",
        )
        self.integrator = openmm.VerletIntegrator(TIMESTEP)
        threads = {"Threads": str(self.options["threads"])}
        self.context = openmm.Context(described, self.integrator, self.platform, threads)
        self.context.setPositions(system["positions"] * unit.angstrom)
        self.context.setVelocitiesToTemperature(TEMPERATURE * unit.kelvin, 1)
        energy = self.context.getState(getEnergy=True).getPotentialEnergy()
        return float(energy.value_in_unit(unit.kilojoule_per_mole)) / KJ_PER_MOL_PER_EV

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        self.integrator.step(n_steps)


def topology_of(system: dict[str, Any]) -> app.Topology:
    """All atoms in one residue, and the box of a periodic system."""
    topology = app.Topology()
    residue = topology.addResidue("ALL", topology.addChain())
    for number in system["numbers"]:
        element = app.Element.getByAtomicNumber(number)
        topology.addAtom(element.symbol, element, residue)
    if any(system["pbc"]):
        box = [openmm.Vec3(*row) for row in system["cell"]] * unit.angstrom
        topology.setPeriodicBoxVectors(box)
    return topology
