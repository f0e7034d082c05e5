"""The backend `torch`: TorchForce of the plug-in openmm-torch, which runs without Python."""

from __future__ import annotations

import warnings

import openmm
import torch

from mhff.ops.cpu import build
from mhff.options import Form
from mhff_openmm.backends.backend import Backend
from mhff_openmm.definition import ForceDefinition
from mhff_openmm.plugin import import_plugin, imported_plugin, why_not_installed
from mhff_openmm.script.build import build_script, form_of


def why_not(definition: ForceDefinition) -> str:
    """Why TorchForce cannot make this force here, or ""."""
    reason = why_not_installed()
    if reason:
        return reason
    form = form_of(definition)
    if form not in (None, Form.TORCHSCRIPT):
        return f"because it runs programs in the form torchscript, and this one is in {form}"
    if torch.device(definition.program.device).type != "cpu":
        return "because it has kernels for CPUs only"
    reason = build.why_not(()) if definition.file.is_model else ""
    if reason:
        return reason
    try:
        import_plugin()
    except ImportError as error:
        return (
            f"because openmm-torch does not fit torch {torch.__version__} ({error}); install the "
            "torch that it was built for"
        )
    return ""


def make(definition: ForceDefinition) -> openmm.Force:
    """A TorchForce with derivatives of the energy with respect to all parameters.

    Compiles the model if need be. Warns of elements that a head in use was not trained on; heads
    that a running Context switches on give no warning, because no Python runs there.
    """
    script = build_script(definition)
    in_use = torch.tensor(definition.heads_in_use)
    heads = script.manifest.capabilities.heads
    for sentence in heads.extrapolations(in_use, definition.symbols):
        warnings.warn(sentence, UserWarning, stacklevel=3)
    force = import_plugin().TorchForce(script.module)
    force.setOutputsForces(True)
    for name, default in definition.defaults.items():
        force.addGlobalParameter(name, default)
        force.addEnergyParameterDerivative(name)
    return force


def parameters_of(force: openmm.Force) -> tuple[str, ...]:
    """Names of a TorchForce's global parameters."""
    plugin = imported_plugin()
    if plugin is None or not plugin.TorchForce.isinstance(force):
        return ()
    ours = plugin.TorchForce.cast(force)
    return tuple(ours.getGlobalParameterName(n) for n in range(ours.getNumGlobalParameters()))


TORCH = Backend("torch", "TorchForce", why_not, make, parameters_of)
