"""The backend `python-torch`: PythonTorchForce of openmm-torch, whose positions are tensors.

Written against the interface that openmm-torch publishes in its sources; no release has it yet.
"""

from __future__ import annotations

import openmm

from mhff_openmm.backends.backend import Backend
from mhff_openmm.backends.python_force import computation_of
from mhff_openmm.computation import TensorComputation
from mhff_openmm.definition import ForceDefinition
from mhff_openmm.plugin import import_plugin, imported_plugin, why_not_installed


def why_not(definition: ForceDefinition) -> str:
    """Why PythonTorchForce cannot make this force here, or ""."""
    reason = why_not_installed()
    if reason:
        return reason
    try:
        plugin = import_plugin()
    except ImportError as error:
        return f"because openmm-torch cannot be imported ({error})"
    if "PythonTorchForce" not in dir(plugin):
        return "because the installed openmm-torch has no PythonTorchForce; install a newer one"
    return ""


def make(definition: ForceDefinition) -> openmm.Force:
    """A PythonTorchForce; compiles the model if need be."""
    computation = TensorComputation(computation_of(definition))
    subset = [] if definition.subset is None else list(definition.subset)
    return import_plugin().PythonTorchForce(computation, definition.defaults, subset)


def parameters_of(force: openmm.Force) -> tuple[str, ...]:
    """Names of a PythonTorchForce's global parameters."""
    plugin = imported_plugin()
    if plugin is None or "PythonTorchForce" not in dir(plugin):
        return ()
    if not plugin.PythonTorchForce.isinstance(force):
        return ()
    return tuple(plugin.PythonTorchForce.cast(force).getGlobalParameters())


PYTHON_TORCH = Backend("python-torch", "PythonTorchForce", why_not, make, parameters_of)
