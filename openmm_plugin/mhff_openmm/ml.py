"""What openmm-ml finds of mhff: the factory behind `MLPotential("mhff", modelPath=...)`.

The entry point `openmmml.potentials` of pyproject.toml names it, so everyone's `import openmmml`
imports this module. Nothing here can fail, and `potential.py` is imported when someone asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhff_openmm.potential import MHFFPotential


class MHFFPotentialImplFactory:
    """Makes mhff's potentials for openmm-ml, which creates one instance of this class."""

    def createImpl(self, name: str, /, **options: Any) -> MHFFPotential:  # noqa: N802 - openmm-ml's
        """The potential of `MLPotential(name, **options)`; see `MHFFPotential`."""
        from mhff_openmm.potential import MHFFPotential

        return MHFFPotential(options)
