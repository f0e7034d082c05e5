"""The nonbonded energy within an ML region is what OpenMM's NonbondedForce gives to its pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import openmm
import pytest
from openmm import NonbondedForce, app, unit

from mhff import MHFFError
from mhff_openmm.interpolation import make_interpolating, nonbonded_within

METHODS = ("NoCutoff", "CutoffNonPeriodic", "CutoffPeriodic", "Ewald", "PME")
ENERGY = 1e-8
"""kJ/mol, of some hundred kJ/mol."""
FORCE = 1e-7
"""kJ/mol/nm."""
BOX = 2.0
"""Edge, nm."""
N_REGION = 10


def charges_at_random(method: str, switch: bool) -> tuple[NonbondedForce, np.ndarray]:
    """Atoms 0.3 nm apart, some of them bonded, in a cutoff smaller than their region."""
    rng = np.random.default_rng(4)
    places = np.array(list(np.ndindex(4, 4, 4))) * 0.3 + rng.uniform(-0.04, 0.04, (64, 3))
    force = NonbondedForce()
    force.setNonbondedMethod(getattr(NonbondedForce, method))
    force.setCutoffDistance(0.7)
    force.setUseSwitchingFunction(switch)
    force.setSwitchingDistance(0.5)
    force.setUseDispersionCorrection(True)
    force.setEwaldErrorTolerance(1e-4)
    charges = rng.uniform(-0.5, 0.5, 64)
    for charge in charges - charges.mean():
        force.addParticle(charge, rng.uniform(0.2, 0.3), rng.uniform(0.1, 0.5))
    force.createExceptionsFromBonds([(n, n + 1) for n in range(8)], 0.8, 0.5)
    return force, places


def energy_and_forces(force: openmm.Force, positions: np.ndarray) -> np.ndarray:
    """As one array, kJ/mol and kJ/mol/nm, on the Reference platform."""
    system = openmm.System()
    for _ in positions:
        system.addParticle(1.0)
    system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in BOX * np.eye(3)))
    system.addForce(force)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    return np.append(state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value)


@pytest.mark.parametrize("switch", [False, True], ids=["cut", "switched"])
@pytest.mark.parametrize("method", METHODS)
def test_is_what_the_force_loses_without_the_pairs(method: str, switch: bool) -> None:
    force, positions = charges_at_random(method, switch)
    region = [*range(N_REGION - 2), 60, 20]
    distances = [np.linalg.norm(positions[a] - positions[b]) for a, b in combinations(region, 2)]
    assert min(distances) < 0.4 < 0.7 < max(distances)  # both sides of the cutoff
    within = energy_and_forces(nonbonded_within(force, region), positions)
    everything = energy_and_forces(force, positions)
    again, _ = charges_at_random(method, switch)
    for first, second in combinations(region, 2):
        again.addException(first, second, 0.0, 1.0, 0.0, True)
    again.setExceptionsUsePeriodicBoundaryConditions(again.usesPeriodicBoundaryConditions())
    lost = everything - energy_and_forces(again, positions)
    assert abs(lost[0]) > 1
    assert within[0] == pytest.approx(lost[0], abs=ENERGY)
    np.testing.assert_allclose(within[1:], lost[1:], rtol=0, atol=FORCE)


def ljpme() -> openmm.Force:
    force = NonbondedForce()
    force.setNonbondedMethod(NonbondedForce.LJPME)
    return force


def with_offsets() -> openmm.Force:
    force = NonbondedForce()
    force.addParticle(0.0, 1.0, 0.0)
    force.addGlobalParameter("scale", 1.0)
    force.addParticleParameterOffset("scale", 0, 1.0, 0.0, 0.0)
    return force


@pytest.mark.parametrize(
    ("force", "what"),
    [
        (lambda: openmm.CustomNonbondedForce("1/r"), "a CustomNonbondedForce"),
        (ljpme, "LJPME"),
        (with_offsets, "a NonbondedForce with parameter offsets"),
    ],
)
def test_other_interactions_are_refused(force, what: str) -> None:
    mm = openmm.System()
    mm.addParticle(1.0 * unit.dalton)
    mm.addForce(force())
    mixed = openmm.System()
    mixed.addParticle(1.0)
    mixed.addForce(openmm.CustomExternalForce("x"))
    with pytest.raises(MHFFError, match=f"the MM system has {what}, which interpolate=True does "):
        make_interpolating(mixed, mm, app.Topology(), [0], 0)
