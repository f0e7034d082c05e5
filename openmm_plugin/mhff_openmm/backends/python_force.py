"""The backend `python`: OpenMM's own PythonForce, which calls Python at every step."""

from __future__ import annotations

import openmm

from mhff_openmm.backends.backend import Backend
from mhff_openmm.computation import MHFFComputation
from mhff_openmm.definition import ForceDefinition
from mhff_openmm.plugin import openmm_version

MIN_OPENMM = (8, 5)
"""The first version with PythonForce."""
MIN_OPENMM_FOR_SUBSETS = (8, 6)
"""The first version whose PythonForce can act on some particles only."""


def why_not(definition: ForceDefinition) -> str:
    """Why PythonForce cannot make this force here, or ""."""
    here = openmm_version()
    version = openmm.version.short_version
    if here < MIN_OPENMM:
        return f"because OpenMM {version} has no PythonForce; install OpenMM 8.6 or newer"
    if definition.subset is not None and here < MIN_OPENMM_FOR_SUBSETS:
        return (
            f"because PythonForce of OpenMM {version} cannot act on some particles only; install "
            "OpenMM 8.6 or newer"
        )
    return ""


def make(definition: ForceDefinition) -> openmm.PythonForce:
    """A PythonForce; compiles the model if need be."""
    computation = computation_of(definition)
    # by position: OpenMM refuses the names that its help text shows
    subset = () if definition.subset is None else (list(definition.subset),)
    force = openmm.PythonForce(computation, definition.defaults, *subset)
    force.computation = computation  # OpenMM itself hands out a pickled copy only
    return force


def computation_of(definition: ForceDefinition) -> MHFFComputation:
    """The function that OpenMM's Python forces call, its program loaded.

    Warns of elements that a head in use was not trained on.
    """
    elements = definition.program.elements
    computation = MHFFComputation(
        definition.program,
        bytes(elements.index(symbol) for symbol in definition.symbols),
        definition.parameters,
        definition.state,
        definition.periodic,
        definition.skin,
    )
    adapter = computation.load(definition.file)
    adapter.warn_of_extrapolation(definition.heads_in_use)
    return computation


def parameters_of(force: openmm.Force) -> tuple[str, ...]:
    """Names of a PythonForce's global parameters."""
    if type(force).__name__ != "PythonForce":
        return ()
    return tuple(force.getGlobalParameters())


PYTHON = Backend("python", "PythonForce", why_not, make, parameters_of)
