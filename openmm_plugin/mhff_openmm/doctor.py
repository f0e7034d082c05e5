"""The checks of OpenMM for `mhff doctor`: its version, platforms and plug-ins."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mhff.doctor.core import NVIDIA_DRIVER
from mhff.doctor.findings import Check, Finding
from mhff.doctor.questions import NoAnswerError, ask_python
from mhff.doctor.requirements import Requirement, installed_version, requirements
from mhff.errors import listing

MISSING_LIBRARY = re.compile(r"(\S+\.so[\d.]*): cannot open shared object file")
MEND = "pip install --upgrade 'mhff[openmm]'"
OPENMM = """
import json, openmm
count = openmm.Platform.getNumPlatforms()
print(json.dumps({
    "platforms": [openmm.Platform.getPlatform(index).getName() for index in range(count)],
    "failures": list(openmm.Platform.getPluginLoadFailures()),
    "python_force": "PythonForce" in dir(openmm),
}))
"""
TORCH_FORCE = """
import copy, json, torch, openmmtorch, openmm

class Squares(torch.nn.Module):
    def forward(self, positions):
        return (positions * positions).sum()

system = openmm.System()
system.addParticle(1.0)
force = openmmtorch.TorchForce(torch.jit.trace(Squares(), torch.ones(1, 3)))
system.addForce(copy.deepcopy(force))
context = openmm.Context(system, openmm.VerletIntegrator(1.0))
context.setPositions([[1.0, 2.0, 2.0]])
energy = context.getState(energy=True).getPotentialEnergy()._value
if abs(energy - 9.0) > 1e-4:
    raise ValueError(f"an energy of {energy} kJ/mol instead of 9")
print(json.dumps({"torch": torch.__version__}))
"""


def openmm() -> Iterator[Finding]:
    """OpenMM and its platforms, which are plug-ins."""
    needed = list(requirements("openmm"))
    missing = [each for each in needed if each.installed is None]
    if missing:
        found = f"{listing(each.name for each in missing)}: not installed"
        yield Finding("openmm", False, found, MEND)
        return
    about = listing(f"{each.name} {each.installed}" for each in needed)
    complaints = [each.complaint for each in needed if each.complaint]
    if complaints:
        yield Finding("openmm", False, listing(complaints), MEND)
        return
    try:
        facts = ask_python(OPENMM)
    except NoAnswerError as error:
        yield Finding("openmm", False, f"{about}; importing openmm {error}", MEND)
        return
    if facts["python_force"]:
        yield Finding("openmm", True, about)
    else:
        yield Finding("openmm", False, f"{about} has no PythonForce", MEND)
    yield _platforms(facts["platforms"], facts["failures"])


def _platforms(platforms: list[str], failures: list[str]) -> Finding:
    """The platforms; plug-ins for GPUs that lack a library are a fault only if there is a GPU."""
    about = listing(platforms)
    if not failures:
        return Finding("openmm platforms", True, about)
    libraries = {match[1] for failure in failures for match in MISSING_LIBRARY.finditer(failure)}
    needed = sorted(name for name in libraries if not name.startswith("libOpenMM"))
    reasons = needed or [" ".join(failure.split()) for failure in failures]
    found = f"{about}; some plug-ins do not load: {listing(reasons)}"
    if needed and not NVIDIA_DRIVER.exists():
        return Finding("openmm platforms", True, found)
    mend = "install the libraries that are named, for OpenMM on the GPU; other platforms work"
    return Finding("openmm platforms", False, found, mend)


def openmmml() -> Iterator[Finding]:
    """OpenMM-ML, whose `MLPotential` can use mhff."""
    needed = Requirement("openmmml", "1.8", installed_version("openmmml"))
    if needed.installed is None:
        yield Finding("openmmml", True, "not installed; only openmmml.MLPotential needs it")
    elif needed.complaint:
        yield Finding("openmmml", False, needed.complaint, "pip install --upgrade openmmml")
    else:
        yield Finding("openmmml", True, needed.installed)


def openmm_torch() -> Iterator[Finding]:
    """The plug-in openmm-torch, whose TorchForce is the backend `torch`, with this OpenMM."""
    if installed_version("openmm") is None:
        return
    from mhff_openmm.plugin import installed_distribution, why_not_installed

    distribution = installed_distribution()
    if distribution is None:
        found = "not installed; only backend 'torch' of add_mhff_force needs it"
        yield Finding("openmm-torch", True, found)
        return
    about = f"{distribution.name} {distribution.version}"
    reason = why_not_installed()
    if reason:
        found, _, mend = reason.removeprefix("because ").partition("; ")
        yield Finding("openmm-torch", False, found, f"{mend}; backend 'python' works")
        return
    try:
        facts = ask_python(TORCH_FORCE)
    except NoAnswerError as error:
        found = f"{about}, evaluating and copying a TorchForce {error}"
        mend = "install the torch that it was built for (openmmtorch 1.5: torch 2.9)"
        yield Finding("openmm-torch", False, found, mend)
        return
    yield Finding("openmm-torch", True, f"{about} with torch {facts['torch']}, TorchForce works")


CHECKS: tuple[Check, ...] = (openmm, openmmml, openmm_torch)
