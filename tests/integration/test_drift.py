"""Dynamics at constant energy with compiled programs: the drift is that of the exact model."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from calculators import exact
from programs import cached
from structures import magnesia
from tolerances import NVE_DRIFT

from mhff import MHFFCalculator

TEMPERATURE = 600
"""K."""
SAME_ENERGY = {"float64": 1e-8, "float32": 2e-6}
"""eV per atom: how far the conserved energy may be from the exact model's along 200 fs."""
pytestmark = pytest.mark.slow


def conserved(
    calculator: MHFFCalculator, repeats: int, steps: int, time_step: float, every: int = 10
) -> np.ndarray:
    """Total energy per atom along a trajectory, eV, less its first value; time step in fs."""
    atoms = magnesia(repeats, rattle=0.0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(1))
    atoms.calc = calculator
    energies: list[float] = []
    dynamics = VelocityVerlet(atoms, time_step * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy() / len(atoms)), interval=every)
    dynamics.run(steps)
    return np.array(energies) - energies[0]


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return conserved(exact("mini", "materials"), 1, 400, 0.5)


@pytest.mark.parametrize("dtype", SAME_ENERGY)
def test_the_energy_is_that_of_the_exact_model(dtype: str, expected: np.ndarray) -> None:
    program = cached("mini", precision=dtype, form="aoti")
    found = conserved(MHFFCalculator(program, head="materials"), 1, 400, 0.5)
    assert np.abs(expected).max() > 10 * SAME_ENERGY["float64"], "the integrator's error is seen"
    assert np.abs(found - expected).max() < SAME_ENERGY[dtype]


@pytest.mark.parametrize("dtype", SAME_ENERGY)
def test_no_energy_is_gained_or_lost_in_2_ps(dtype: str) -> None:
    """64 atoms, 1 fs; the slope is that of a straight line through the energies."""
    program = cached("mini", precision=dtype, form="aoti")
    energies = conserved(MHFFCalculator(program, head="materials"), 2, 2000, 1.0)
    slope = np.polyfit(np.linspace(0, 1, len(energies)), energies, 1)[0]
    assert np.ptp(energies) > 1e-7, "the integrator's error is seen"
    assert abs(slope) < NVE_DRIFT
