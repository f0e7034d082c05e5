"""Constant-energy dynamics with an ASE calculator, as a contender.

ASE and numpy only: this runs in peers' interpreters, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

TIMESTEP = 0.5
"""Time step, fs."""
TEMPERATURE = 300.0
"""Temperature of the initial velocities, K."""


def atoms_of(system: dict[str, Any]) -> Atoms:
    """The system of a request."""
    return Atoms(
        numbers=system["numbers"],
        positions=system["positions"],
        cell=system["cell"],
        pbc=system["pbc"],
    )


class Dynamics:
    """Steps of velocity Verlet in ASE: atoms move as in a simulation, and so do neighbour lists."""

    def __init__(self, calculator: Any, about: dict[str, Any]) -> None:
        self.calculator = calculator
        self.about = about

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        atoms = atoms_of(system)
        atoms.calc = self.calculator
        MaxwellBoltzmannDistribution(
            atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(1), force_temp=True
        )
        self.integrator = VelocityVerlet(atoms, TIMESTEP * units.fs)
        return float(atoms.get_potential_energy())

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        self.integrator.run(n_steps)
