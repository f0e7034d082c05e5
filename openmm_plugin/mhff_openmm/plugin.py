"""The plug-in openmm-torch as it is installed, and its combinations with OpenMM that do not work.

Several distributions on PyPI bring the same module, `openmmtorch`. All that exist today were built
for an older OpenMM: with 8.6 they end the process as soon as one of their forces is copied, read
from XML, or put into a CustomCVForce.
"""

from __future__ import annotations

import functools
import importlib
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import openmm

from mhff.doctor.requirements import installed_version, numbers

LAST_BEFORE_OPENMM_8_6 = {
    "openmmtorch": (1, 5),
    "acellera-openmmtorch": (1, 6),
    "acellera-openmmtorch-cpu": (1, 10),
    "acellera-openmmtorch-cu12": (1, 10),
    "acellera-openmmtorch-cu13": (1, 10),
}
"""Distributions of the plug-in, and the last version of each that crashes with OpenMM 8.6."""
OPENMM_THAT_CRASHES = (8, 6)
MIN_OPENMM = (8, 4)
"""The first version of OpenMM that the distributions load into."""
INSTALL = "pip install openmmtorch 'openmm<8.6'"


def openmm_version() -> tuple[int, ...]:
    """Version of the OpenMM that is installed."""
    return numbers(openmm.version.short_version)


class Distribution(NamedTuple):
    """A distribution of the plug-in that is installed."""

    name: str
    version: str


def installed_distribution() -> Distribution | None:
    """The distribution that brings `openmmtorch`, or None."""
    for name in LAST_BEFORE_OPENMM_8_6:
        version = installed_version(name)
        if version is not None:
            return Distribution(name, version)
    return None


def why_not_installed() -> str:
    """Why the plug-in cannot be used here, as "because ...", or "". Nothing is imported."""
    found = installed_distribution()
    if found is None:
        return f"because the plug-in openmm-torch is not installed; {INSTALL}"
    here = openmm_version()
    both = f"OpenMM {openmm.version.short_version} and {found.name} {found.version}"
    if here < MIN_OPENMM:
        return f"because {both} do not work together; install OpenMM 8.5"
    known = numbers(found.version)[:2] <= LAST_BEFORE_OPENMM_8_6[found.name]
    if known and here >= OPENMM_THAT_CRASHES:
        return (
            f"because {both} end the process when a System is copied or read; install OpenMM 8.5, "
            "or a newer openmm-torch"
        )
    return ""


@functools.cache
def import_plugin() -> ModuleType:
    """The module `openmmtorch`; raises ImportError if its libraries do not fit this torch.

    OpenMM loads plug-ins when it is imported. Those that needed torch and were too early for it are
    loaded here.
    """
    importlib.import_module("torch")
    plugin = importlib.import_module("openmmtorch")
    failures = "".join(openmm.Platform.getPluginLoadFailures())
    for library in sorted(Path(openmm.version.openmm_library_path).glob("plugins/*OpenMMTorch*")):
        if library.name in failures:
            with suppress(openmm.OpenMMException):  # those for GPUs that are not here
                openmm.Platform.loadPluginLibrary(str(library))
    return plugin


def imported_plugin() -> ModuleType | None:
    """The module `openmmtorch` if this process has imported it."""
    return sys.modules.get("openmmtorch")
