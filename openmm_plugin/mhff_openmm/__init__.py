"""mhff in OpenMM: `add_mhff_force` puts a model's energy into a System, with its heads as global
parameters.

`force.py` is what a user calls, `computation.py` what OpenMM calls at every step.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhff_openmm.force import add_mhff_force

__all__ = ["add_mhff_force"]


def __getattr__(name: str) -> Any:
    """Import `add_mhff_force` on first use: OpenMM imports this package while reading a System,
    which must not fail.
    """
    if name not in __all__:
        raise AttributeError(f"module 'mhff_openmm' has no attribute '{name}'")
    return getattr(import_module("mhff_openmm.force"), name)
