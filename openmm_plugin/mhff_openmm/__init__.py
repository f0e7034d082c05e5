"""mhff in OpenMM: `add_mhff_force` adds a model's energy to a System.

The weights of the model's heads are global parameters. Users call `force.py`, and `theory` and
`reweighting` to compare levels of theory. One of the `backends` makes the force. That of OpenMM
alone calls `computation.py` at every step, which evaluates through `adapter.py`; that of
openmm-torch runs `script`, without Python.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhff_openmm.force import add_mhff_force
    from mhff_openmm.reading import read_system
    from mhff_openmm.reweighting.reweight import reweight
    from mhff_openmm.theory.energies import energy_derivative, head_energies
    from mhff_openmm.theory.reporter import HeadEnergyReporter
    from mhff_openmm.theory.samples import HeadEnergies

__all__ = [
    "HeadEnergies",
    "HeadEnergyReporter",
    "add_mhff_force",
    "energy_derivative",
    "head_energies",
    "read_system",
    "reweight",
]
_MODULES = {
    "HeadEnergies": "theory.samples",
    "HeadEnergyReporter": "theory.reporter",
    "add_mhff_force": "force",
    "energy_derivative": "theory.energies",
    "head_energies": "theory.energies",
    "read_system": "reading",
    "reweight": "reweighting.reweight",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use.

    OpenMM imports this package while it reads a System, and that must not fail.
    """
    if name not in _MODULES:
        raise AttributeError(f"module 'mhff_openmm' has no attribute '{name}'")
    return getattr(import_module(f"mhff_openmm.{_MODULES[name]}"), name)
