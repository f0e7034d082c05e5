"""The protocol of a task, and what a task is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from mhff.errors import MHFFError, listing
from mhff.heads import E0sKind, Head
from mhff_suite.data import DataFolders, Source
from mhff_suite.outcome import Outcome
from mhff_suite.potential import Potential

MAX_QUICK = 12
"""Members of a set that a quick run takes, or somewhat more."""
NOT_OF_ATOMS = (E0sKind.LEAST_SQUARES, E0sKind.REESTIMATED)
"""Kinds of reference energies that are not energies of atoms."""
T = TypeVar("T")


class Chemical(Protocol):
    """A complex or reaction."""

    @property
    def symbols(self) -> Set[str]:
        """The elements."""
        ...

    @property
    def is_charged(self) -> bool:
        """Whether a part has a charge."""
        ...


class Domain(StrEnum):
    """The part of chemistry that a task belongs to."""

    PHYSICS = "physical behaviour"
    MOLECULES = "molecules"
    NON_COVALENT = "non-covalent interactions"
    REACTIONS = "reactions"
    CRYSTALS = "crystals"
    MOLECULAR_CRYSTALS = "molecular crystals"
    SURFACES = "surfaces"
    DYNAMICS = "dynamics"


@dataclass(frozen=True)
class Reference:
    """The origin of a task's reference numbers."""

    theory: str
    source: str
    """Citation, and the package that ships the numbers."""
    licence: str
    fair_for: tuple[str, ...] = ()
    """Words of which a head's level of theory must have one for a fair test; empty: all heads."""

    def is_fair(self, head: Head) -> bool:
        """Whether the head's level of theory aims at these numbers."""
        if not self.fair_for:
            return True
        patterns = (rf"(?<![\w-]){re.escape(word)}(?!\w)" for word in self.fair_for)
        return any(re.search(pattern, head.level_of_theory) for pattern in patterns)


PHYSICAL_LAW = Reference("physical law", "no data needed", "none")
"""The reference of tasks that any sound potential passes."""
WITH_DISPERSION = ("wB97M-D3", "wB97M-V", "CCSD(T)", "DLPNO-CCSD(T)", "wB97X-D3", "B3LYP-D3")
"""Levels of theory that aim at non-covalent interactions."""
HYBRIDS = (*WITH_DISPERSION, "wB97X", "B3LYP", "PBE0")
"""Levels of theory that aim at barriers and energies of reactions."""
GENERALISED_GRADIENT = ("PBE",)


@dataclass(frozen=True)
class Setting:
    """What a task is given: a head as a potential, and where to look for data."""

    potential: Potential
    head: Head
    elements: tuple[str, ...]
    """Elements that the head was trained on, or those of the model where this is unknown."""
    E0s: Mapping[str, float]
    """The head's reference energies of atoms, eV."""
    r_max: float
    """Cutoff radius, A."""
    reach: float
    """Largest distance at which an atom's energy depends on another atom, A."""
    takes_charge: bool
    """Whether the model takes a total charge."""
    takes_spin: bool
    """Whether the model takes a spin multiplicity."""
    data: DataFolders
    quick: bool = False
    """Whether to take a small part of the task."""

    def knows(self, *symbols: str) -> bool:
        """Whether the head knows all of these elements."""
        return set(symbols) <= set(self.elements)

    def describes(self, chemical: Chemical) -> bool:
        """Whether the head knows the elements, and takes a charge if there is one."""
        return self.knows(*chemical.symbols) and (self.takes_charge or not chemical.is_charged)

    @property
    def has_atoms(self) -> bool:
        """Whether the head's reference energies are those of atoms."""
        return self.head.e0s_kind not in NOT_OF_ATOMS

    def thinned(self, members: Sequence[T]) -> Sequence[T]:
        """The members of a set, or a part of them, spread over the set, in a quick run."""
        return members[:: max(1, len(members) // MAX_QUICK)] if self.quick else members

    def folder(self, source: Source) -> Path:
        """The folder with the files of a source; raises LeftOutError if they are not here."""
        found = self.data.find(source)
        if found is None:
            raise LeftOutError(f"needs {source.name}: {source.how}")
        return found


@dataclass(frozen=True)
class Task:
    """A benchmark of one head."""

    name: str
    title: str
    domain: Domain
    reference: Reference
    computes: str
    """What is computed, in a sentence."""
    run: Callable[[Setting], Outcome]
    """Raises LeftOutError if the task cannot be run with this head or on this machine."""
    cost: float
    """Seconds with the bundled model on one core."""
    needs: tuple[str, ...] = ()
    """Elements that the head must know."""
    in_quick: bool = True
    """Whether `--quick` runs it."""


class LeftOutError(MHFFError):
    """A task cannot be run; the sentence says why, and what to do."""


def check_elements(task: Task, setting: Setting) -> None:
    """Raise LeftOutError if the head lacks an element that the whole task needs."""
    missing = sorted(set(task.needs) - set(setting.elements))
    if missing:
        raise LeftOutError(f"the head does not know {listing(missing)}")
