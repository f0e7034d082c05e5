"""From the MM force field to ML/MM by a parameter: the terms that differ, in a CustomCVForce.

openmm-ml has such a function. But it takes all electrostatics within the ML region for Coulomb's
law, which is wrong for reaction fields and for regions larger than the cutoff, so that its system
is not the MM system at lambda = 0. Here the pairs have exactly the energy that they lost.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import openmm
from openmm import NonbondedForce, app, unit
from openmmml.embeddings.utilities import InterpolationHelper

from mhff.errors import MHFFError

COULOMB_CONSTANT = 138.93545764438198
"""Coulomb's constant in OpenMM's kernels, kJ nm/mol/e^2 (CODATA 2018)."""
REACTION_FIELD = (NonbondedForce.CutoffNonPeriodic, NonbondedForce.CutoffPeriodic)


class Pair(NamedTuple):
    """What the MM force field says about two atoms, in OpenMM's units."""

    first: int
    second: int
    charges: float
    """Product of the charges."""
    sigma: float
    epsilon: float
    is_exception: bool
    """Exceptions, such as 1-4 pairs, feel no cutoff."""


def make_interpolating(
    mixed: openmm.System, mm: openmm.System, topology: app.Topology, region: list[int], group: int
) -> None:
    """Make an ML/MM system, whose last force is mhff's, depend on `lambda_interpolate`.

    At 0 it is the MM system, at 1 what it was before. The interpolating force is in `group`. Raises
    MHFFError for nonbonded interactions that cannot be interpolated.
    """
    helper = InterpolationHelper()
    last = mixed.getNumForces() - 1
    helper.addMLTerm(copy.deepcopy(mixed.getForce(last)))
    mixed.removeForce(last)
    helper.addMMBondedTerms(mm, topology, region)
    for force in mm.getForces():
        _check(force)
        if isinstance(force, NonbondedForce):
            helper.addMMTerm(nonbonded_within(force, region))
    helper.setupInterpolation(mixed)
    mixed.getForce(mixed.getNumForces() - 1).setForceGroup(group)


def nonbonded_within(force: NonbondedForce, region: list[int]) -> openmm.CustomBondForce:
    """The part of a NonbondedForce that acts between atoms of a region, without their images."""
    within = openmm.CustomBondForce("; ".join(_expressions(force)))
    for name in ("charges", "sigma", "epsilon", "direct"):
        within.addPerBondParameter(name)
    for pair in _pairs(force, region):
        values = [pair.charges, pair.sigma, pair.epsilon, float(not pair.is_exception)]
        within.addBond(pair.first, pair.second, values)
    within.setUsesPeriodicBoundaryConditions(force.usesPeriodicBoundaryConditions())
    return within


def _pairs(force: NonbondedForce, region: list[int]) -> Iterator[Pair]:
    """The pairs that interact."""
    particles = [[value._value for value in force.getParticleParameters(index)] for index in region]
    exceptions = {}
    for number in range(force.getNumExceptions()):
        first, second, *values = force.getExceptionParameters(number)
        exceptions[frozenset((first, second))] = [value._value for value in values]
    numbered = zip(region, particles, strict=True)
    for (first, (charge, sigma, epsilon)), (second, other) in combinations(numbered, 2):
        mixed = [charge * other[0], (sigma + other[1]) / 2, math.sqrt(epsilon * other[2])]
        exception = exceptions.get(frozenset((first, second)))
        charges, radius, depth = mixed if exception is None else exception
        if charges or depth:
            yield Pair(first, second, charges, radius, depth, exception is not None)


def _expressions(force: NonbondedForce) -> Iterator[str]:
    """The energy of a pair, and the definitions that it needs, from OpenMM's user guide.

    `direct` is 0 for exceptions, otherwise 1.
    """
    yield f"{COULOMB_CONSTANT}*charges*coulomb + 4*epsilon*((sigma/r)^12 - (sigma/r)^6)*cut"
    method = force.getNonbondedMethod()
    if method == NonbondedForce.NoCutoff:
        yield "coulomb = 1/r"
        yield "cut = 1"
        return
    if method in REACTION_FIELD:
        yield f"coulomb = select(direct, inside*({_reaction_field(force)}), 1/r)"
    else:  # beyond the cutoff there is the reciprocal sum alone
        yield f"coulomb = 1/r - direct*(1 - inside)*erfc({_ewald_alpha(force)}*r)/r"
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
    yield "cut = select(direct, inside*switch, 1)"
    if force.getUseSwitchingFunction():
        start = force.getSwitchingDistance().value_in_unit(unit.nanometer)
        yield "switch = 1 - x^3*(10 - 15*x + 6*x^2)"
        yield f"x = max(0, (r - {start})/{cutoff - start})"
    else:
        yield "switch = 1"
    yield f"inside = step({cutoff} - r)"


def _reaction_field(force: NonbondedForce) -> str:
    """Coulomb's law with a reaction field."""
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
    dielectric = force.getReactionFieldDielectric()
    curvature = (dielectric - 1) / (2 * dielectric + 1) / cutoff**3
    shift = 3 * dielectric / (2 * dielectric + 1) / cutoff
    return f"1/r + {curvature}*r^2 - {shift}"


def _ewald_alpha(force: NonbondedForce) -> float:
    """Parameter alpha of the Ewald sum, 1/nm."""
    given = force.getPMEParameters()[0].value_in_unit(unit.nanometer**-1)
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
    return given or math.sqrt(-math.log(2 * force.getEwaldErrorTolerance())) / cutoff


def _check(force: openmm.Force) -> None:
    """Raise MHFFError for a force whose part within the region is not known."""
    why = ""
    if isinstance(force, openmm.CustomNonbondedForce):
        why = "a CustomNonbondedForce"
    elif isinstance(force, NonbondedForce):
        if force.getNonbondedMethod() == NonbondedForce.LJPME:
            why = "LJPME"
        elif force.getNumParticleParameterOffsets() or force.getNumExceptionParameterOffsets():
            why = "a NonbondedForce with parameter offsets"
    if why:
        raise MHFFError(
            f"the MM system has {why}, which interpolate=True does not support; take another "
            "nonbonded method or force field, or interpolate=False"
        )
