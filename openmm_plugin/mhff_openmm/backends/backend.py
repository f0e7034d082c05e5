"""The interface of a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import openmm

from mhff_openmm.definition import ForceDefinition


@dataclass(frozen=True)
class Backend:
    """A kind of OpenMM force that can evaluate a model."""

    name: str
    """What users call it: `add_mhff_force(..., backend=name)`."""
    force_class: str
    why_not: Callable[[ForceDefinition], str]
    """Why it cannot make this force here, as "because ...", or ""."""
    make: Callable[[ForceDefinition], openmm.Force]
    """The force, ready to be added to a System."""
    parameters_of: Callable[[openmm.Force], tuple[str, ...]]
    """Names of a force's global parameters; none if the force is of another kind."""
