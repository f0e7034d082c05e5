"""One record of everything that a force needs, whichever backend makes it."""

from __future__ import annotations

from dataclasses import dataclass

from mhff.filekinds import SourceFile
from mhff_openmm.parameters import Parameters
from mhff_openmm.program import Program


@dataclass(frozen=True)
class ForceDefinition:
    """A force, before it is a force of OpenMM."""

    program: Program
    file: SourceFile
    """The program's source, which has been read."""
    symbols: tuple[str, ...]
    """Chemical symbols of the atoms that the force acts on."""
    subset: tuple[int, ...] | None
    """Their indices in the System, in the same order; None: they are all of its particles."""
    parameters: Parameters
    weights: tuple[float, ...]
    """The weight that each head has by its own parameter in a new Context."""
    state: tuple[float, float]
    """Total charge, e, and spin multiplicity."""
    periodic: bool
    skin: float
    """Width of the neighbour list's skin, A."""

    @property
    def defaults(self) -> dict[str, float]:
        """Values of the global parameters in a new Context."""
        return self.parameters.defaults(self.weights)

    @property
    def heads_in_use(self) -> list[bool]:
        """For each head, whether it has a weight at first or lies at an end of the path."""
        ends = self.parameters.path or ()
        pairs = zip(self.parameters.heads, self.weights, strict=True)
        return [bool(weight) or head in ends for head, weight in pairs]
