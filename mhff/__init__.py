"""mhff: one multi-head MACE force field, several levels of theory, in the engines people use.

`graph.py` says which way an edge points, `model/mace.py` is the forward pass, `heads.py` is where a
head is chosen. This package knows no engine: compiling is in `mhff_deploy`, the adapters in
`mhff_lammps` and `mhff_openmm`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhff.calculator import MHFFCalculator
    from mhff.errors import MHFFError
    from mhff.heads import Head, Heads
    from mhff.many.compute import compute
    from mhff.modelfile import Model, load

__version__ = "0.1.0"
__all__ = ["Head", "Heads", "MHFFCalculator", "MHFFError", "Model", "compute", "load"]

_HOME = {
    "Head": "heads",
    "Heads": "heads",
    "MHFFCalculator": "calculator",
    "MHFFError": "errors",
    "Model": "modelfile",
    "compute": "many.compute",
    "load": "modelfile",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `mhff --help` does not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'mhff' has no attribute '{name}'")
    return getattr(import_module(f"mhff.{_HOME[name]}"), name)
