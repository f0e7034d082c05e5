"""The engine `openmm` of `mhff bench`: steps of constant-energy dynamics in an OpenMM Context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openmm
from openmm import unit

from mhff.engines import AdapterClock, atoms_of
from mhff_openmm.adapter import KJ_PER_MOL_PER_EV
from mhff_openmm.force import add_mhff_force
from mhff_openmm.systems import system_of

TIMESTEP = 0.5e-3
"""Time step, ps."""
TEMPERATURE = 300.0
"""Temperature at the start, K."""


class OpenMM:
    """Dynamics in OpenMM; a step includes its integrator and mhff's neighbour list."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        on_cpu = options["device"] == "cpu"
        self.platform = openmm.Platform.getPlatformByName("CPU" if on_cpu else "CUDA")
        self.settings = {"Threads": str(options["threads"])} if on_cpu else {}
        self.about = {"openmm": openmm.version.version, "platform": self.platform.getName()}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `mhff.engines.Steps`."""
        atoms = atoms_of(system)
        described, topology = system_of(atoms)
        chosen = {name: self.options[name] for name in ("head", "dtype", "form", "device")}
        force = add_mhff_force(
            described, topology, self.options["model"], backend="python", **chosen
        )
        self.integrator = openmm.VerletIntegrator(TIMESTEP)
        self.context = openmm.Context(described, self.integrator, self.platform, self.settings)
        self.context.setPositions(atoms.positions * unit.angstrom)
        self.context.setVelocitiesToTemperature(TEMPERATURE * unit.kelvin, 1)
        self.clock = AdapterClock()
        self.clock.watch(force.computation.load(), "evaluate", force.computation)
        energy = self.context.getState(getEnergy=True).getPotentialEnergy()
        return float(energy.value_in_unit(unit.kilojoule_per_mole)) / KJ_PER_MOL_PER_EV

    def run(self, n_steps: int) -> float:
        """See `mhff.engines.Steps`."""
        before = self.clock.seconds
        self.integrator.step(n_steps)
        return self.clock.seconds - before
