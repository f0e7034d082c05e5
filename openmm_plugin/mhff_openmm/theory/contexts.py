"""The mhff forces of a Context, found wherever they stand in its System.

A Context does not say what its forces were made of, and a System may have been copied, read from a
file, or put inside a CustomCVForce (as openmm-ml does to interpolate). So a force is recognised by
its parameters, and its computation is read from the force itself.
"""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import openmm

from mhff.errors import MHFFError, listing
from mhff_openmm.computation import MHFFComputation
from mhff_openmm.parameters import MARK
from mhff_openmm.script.evaluation import ScriptComputation, script_of

MAX_COMPUTATIONS = 16
"""Number of computations that a process keeps, with their programs, for later questions."""


class Place(NamedTuple):
    """Where a force stands: a Context and the number of the force in its System."""

    context: openmm.Context
    number: int


@dataclass(frozen=True)
class ContextForce:
    """A force of mhff as it stands in a Context."""

    computation: MHFFComputation | ScriptComputation
    particles: tuple[int, ...]
    """Indices of its particles, in its order; empty for all."""
    places: tuple[Place, ...]
    """The CustomCVForces around it, from the outermost, and the force itself.

    Each is in the inner Context of the one before.
    """

    @property
    def names(self) -> list[str]:
        """Names of its global parameters."""
        return self.computation.parameters.names

    def head_energies(self, state: openmm.State) -> np.ndarray:
        """Energy `[n_heads]` of each head alone, kJ/mol, at the positions and box of a State."""
        # _value is in OpenMM's own unit, nm
        positions = state.getPositions(asNumpy=True)._value
        box = state.getPeriodicBoxVectors()._value
        own = positions[list(self.particles)] if self.particles else positions
        return self.computation.head_energies(own, box)

    def scale(self) -> float:
        """Derivative of the Context's energy with respect to this force's energy, now."""
        # the inner System of a CustomCVForce has one force for each variable
        return math.prod(
            _variable_derivative(outer, inner.number) for outer, inner in pairwise(self.places)
        )


def forces_of(context: openmm.Context, around: tuple[Place, ...] = ()) -> Iterator[ContextForce]:
    """All mhff forces of a Context, also those inside its CustomCVForces."""
    for number, force in enumerate(context.getSystem().getForces()):
        places = (*around, Place(context, number))
        if isinstance(force, openmm.CustomCVForce):
            yield from forces_of(force.getInnerContext(context), places)
            continue
        found = _recognise(force)
        if found is not None and set(found[0].parameters.names) <= set(context.getParameters()):
            yield ContextForce(*found, places)


def force_named(context: openmm.Context, name: str) -> ContextForce:
    """The Context's mhff force of this name.

    Raises MHFFError, naming those that exist, if there is none, or if there are several: copies of
    one force that act on different particles.
    """
    forces = _all_forces(context)
    named = [force for force in forces if force.computation.parameters.name == name]
    if not named:
        raise MHFFError(f"this Context has no mhff force '{name}': {_existing(forces)}")
    if len({(force.computation, force.particles) for force in named}) > 1:
        raise MHFFError(
            f"this Context has {len(named)} different mhff forces '{name}'; make each with a name "
            "of its own, for example add_mhff_force(..., name='other')"
        )
    return named[0]


def forces_with(context: openmm.Context, parameter: str) -> list[ContextForce]:
    """The Context's mhff forces with a parameter; raises MHFFError if there is none."""
    forces = _all_forces(context)
    found = [force for force in forces if parameter in force.names]
    if not found:
        raise MHFFError(
            f"no mhff force of this Context has the parameter '{parameter}': {_existing(forces)}"
        )
    return found


def _all_forces(context: object) -> list[ContextForce]:
    if not isinstance(context, openmm.Context):
        raise MHFFError(
            f"expected an OpenMM Context, got {type(context).__name__}; give simulation.context"
        )
    return list(forces_of(context))


def _existing(forces: list[ContextForce]) -> str:
    if not forces:
        return (
            "it has none in its System or its CustomCVForces; call add_mhff_force before making "
            "the Context"
        )
    return "; ".join(
        f"the force '{force.computation.parameters.name}' has {listing(force.names)}"
        for force in forces
    )


def _recognise(
    force: openmm.Force,
) -> tuple[MHFFComputation | ScriptComputation, tuple[int, ...]] | None:
    """The computation and the particles of an mhff force; None for any other force."""
    script = script_of(force)
    if script is not None:
        return script, ()  # it selects its particles itself
    if not isinstance(force, openmm.PythonForce):
        return None
    if not any(MARK in parameter for parameter in force.getGlobalParameters()):
        return None
    try:
        described = ElementTree.fromstring(openmm.XmlSerializer.serialize(force))
    except openmm.OpenMMException:  # the function cannot be pickled, so it is another's
        return None
    computation = _read_computation(described.attrib["function"])
    if computation is None:
        return None
    particles = described.iterfind("Particles/Particle")
    return computation, tuple(int(particle.attrib["index"]) for particle in particles)


@lru_cache(MAX_COMPUTATIONS)
def _read_computation(pickled: str) -> MHFFComputation | None:
    """The object that OpenMM pickled, in hexadecimal, if it is one of ours.

    The same for equal forces, so that their program and neighbour list are there already.
    """
    content = bytes.fromhex(pickled)
    if MHFFComputation.__module__.encode() not in content:
        return None
    found = pickle.loads(content)
    return found if isinstance(found, MHFFComputation) else None


def _variable_derivative(place: Place, variable: int) -> float:
    """Derivative of the energy of the CustomCVForce at `place` with respect to a variable, now.

    OpenMM differentiates with respect to parameters. So all variables become parameters of a force
    with the same energy function.
    """
    context = place.context
    force = context.getSystem().getForce(place.number)
    function = openmm.CustomCVForce(force.getEnergyFunction())
    for number, value in enumerate(force.getCollectiveVariableValues(context)):
        function.addGlobalParameter(force.getCollectiveVariableName(number), value)
    for number in range(force.getNumGlobalParameters()):
        name = force.getGlobalParameterName(number)
        function.addGlobalParameter(name, context.getParameter(name))
    for number in range(force.getNumTabulatedFunctions()):
        table = copy.deepcopy(force.getTabulatedFunction(number))
        function.addTabulatedFunction(force.getTabulatedFunctionName(number), table)
    name = force.getCollectiveVariableName(variable)
    function.addEnergyParameterDerivative(name)
    return _parameter_derivative(function, name)


def _parameter_derivative(force: openmm.Force, parameter: str) -> float:
    """dE/d(parameter) of a force that acts on no particle."""
    system = openmm.System()
    system.addParticle(1.0)
    system.addForce(force)
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(np.zeros((1, 3)))
    state = context.getState(parameterDerivatives=True)
    return float(state.getEnergyParameterDerivatives()[parameter])
