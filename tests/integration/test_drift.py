"""Dynamics at constant energy with compiled programs: the drift is that of the exact model."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

from mhff import MHFFCalculator
from mhff_deploy.compiling.cache import compiled

STEPS, EVERY = 400, 10
TIME_STEP = 0.5
"""fs."""
TEMPERATURE = 600
"""K."""
SAME_ENERGY = {"float64": 1e-8, "float32": 2e-6}
"""eV per atom: how far the conserved energy may be from the exact model's along 200 fs."""


def conserved(calculator: MHFFCalculator) -> np.ndarray:
    """Total energy per atom along a trajectory, eV, less its first value."""
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(1))
    atoms.calc = calculator
    energies: list[float] = []
    dynamics = VelocityVerlet(atoms, TIME_STEP * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy() / len(atoms)), interval=EVERY)
    dynamics.run(STEPS)
    return np.array(energies) - energies[0]


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    return conserved(MHFFCalculator("mini", head="materials", dtype="float64", form="eager"))


@pytest.mark.parametrize("dtype", SAME_ENERGY)
def test_the_drift_is_that_of_the_exact_model(dtype: str, exact: np.ndarray) -> None:
    program = conserved(
        MHFFCalculator(compiled("mini", dtype=dtype, form="aoti"), head="materials")
    )
    assert np.abs(exact).max() > 10 * SAME_ENERGY["float64"], (
        "the integrator's own error must be seen"
    )
    assert np.abs(program - exact).max() < SAME_ENERGY[dtype]
