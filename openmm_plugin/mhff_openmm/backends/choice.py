"""The choice of a backend: as a user asks, or else the fastest one that works here."""

from __future__ import annotations

import logging

import openmm

from mhff.errors import MHFFError, listing
from mhff.heads import OnceOnly
from mhff.options import Form
from mhff_openmm.backends.backend import Backend
from mhff_openmm.backends.python_force import PYTHON
from mhff_openmm.backends.python_torch_force import PYTHON_TORCH
from mhff_openmm.backends.torch_force import TORCH
from mhff_openmm.definition import ForceDefinition
from mhff_openmm.script.build import form_of

logger = logging.getLogger(__name__)

AUTO = "auto"
BACKENDS: tuple[Backend, ...] = (PYTHON, TORCH, PYTHON_TORCH)
"""All backends, the fastest first: Python can call programs of AOTInductor, which are faster."""
BACKENDS_FOR_SCRIPTS: tuple[Backend, ...] = (TORCH, PYTHON, PYTHON_TORCH)
"""The same where the program must be in TorchScript: there TorchForce saves the way to Python."""
_announced = OnceOnly()


def backends_by_speed(definition: ForceDefinition) -> tuple[Backend, ...]:
    """All backends, the fastest for this force first."""
    return BACKENDS_FOR_SCRIPTS if form_of(definition) is Form.TORCHSCRIPT else BACKENDS


def choose_backend(
    asked: str, definition: ForceDefinition, backends: tuple[Backend, ...]
) -> Backend:
    """The backend that a user asks for; for `auto` the first of `backends` that works here.

    The log (level INFO) says, once, which one `auto` took and why. Raises MHFFError if the backend
    is unknown or does not work here.
    """
    reasons: dict[str, str] = {}
    for backend in backends:
        if asked not in (AUTO, backend.name):
            continue
        reason = backend.why_not(definition)
        if not reason:
            if asked == AUTO:
                _announce(backend, reasons)
            return backend
        reasons[backend.name] = reason
    if not reasons:
        names = [AUTO, *(backend.name for backend in backends)]
        raise MHFFError(f"unknown backend {asked!r}: choose one of {listing(names)}")
    raise MHFFError(_sentence(reasons))


def global_parameters(force: openmm.Force) -> list[str]:
    """Names of the global parameters of a force that one of the backends may have made."""
    return [name for backend in BACKENDS for name in backend.parameters_of(force)]


def _announce(backend: Backend, reasons: dict[str, str]) -> None:
    others = "".join(f"; not '{name}', {reason}" for name, reason in reasons.items())
    sentence = (
        f"OpenMM evaluates mhff by backend '{backend.name}' ({backend.force_class}), the fastest "
        f"here{others}"
    )
    for new in _announced.new([sentence]):
        logger.info(new)


def _sentence(reasons: dict[str, str]) -> str:
    return "; ".join(f"backend '{name}' does not work {why}" for name, why in reasons.items())
