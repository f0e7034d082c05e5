"""mhff in OpenMM: `add_mhff_force` adds a model's energy to a System.

The weights of the model's heads are global parameters. Users call `force.py`; OpenMM calls
`computation.py` at every step, which evaluates through `adapter.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhff_openmm.force import add_mhff_force

__all__ = ["add_mhff_force"]


def __getattr__(name: str) -> Any:
    """Import `add_mhff_force` on first use.

    OpenMM imports this package while it reads a System, and that must not fail.
    """
    if name not in __all__:
        raise AttributeError(f"module 'mhff_openmm' has no attribute '{name}'")
    return getattr(import_module("mhff_openmm.force"), name)
