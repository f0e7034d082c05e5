"""`mhff.compute`: results of many structures, in their order, as a stream."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ase import Atoms

from mhff.capabilities import Capabilities
from mhff.errors import MHFFError, listing
from mhff.evaluator import Evaluator, ModelSource
from mhff.heads import HeadSpec
from mhff.many.evaluation import Request
from mhff.many.extrapolations import Extrapolations
from mhff.many.filling import DEFAULT_MEMORY, MAX_ATOMS, filled
from mhff.many.items import Item, Preparation, Unusable, stacked
from mhff.many.outcomes import outcomes
from mhff.many.processes import default_workers
from mhff.many.results import Results
from mhff.many.stacks import Stack
from mhff.opening import open_evaluator
from mhff.options import CompileOptions

PROPERTIES = ("energy", "free_energy", "energies", "forces", "stress")
DEFAULT_PROPERTIES = ("energy", "forces", "stress")
Group = list[Item | Unusable]
"""Structures that are evaluated together, and those between them that cannot be."""


def compute(
    model: ModelSource | Evaluator,
    structures: Iterable[Atoms],
    head: HeadSpec | Sequence[str] | None = None,
    properties: Sequence[str] = DEFAULT_PROPERTIES,
    device: str = "cpu",
    dtype: str | None = None,
    form: str | None = None,
    memory: float = DEFAULT_MEMORY,
    workers: int | None = None,
) -> Iterator[Atoms]:
    """Copies of the structures with their results, in their order, computed many at a time.

        for atoms in mhff.compute("mini", ase.io.iread("many.extxyz"), head="molecules"):
            print(atoms.get_potential_energy(), atoms.get_forces())

    Structures may have any size, cell and periodicity, and come from anything that can be iterated
    over; they are read somewhat ahead of their results, never all at once. Results are in a
    `SinglePointCalculator`: energy and free energy (eV), forces (eV/A), stress of periodic
    structures (eV/A^3), and `calc.results["head_energies"]`. The conventions for charge, spin and
    `mhff_head` in `info` and `arrays` are those of `MHFFCalculator`.

    A structure that cannot be computed does not stop the others. Its `info["mhff_error"]` says why,
    and asking it for a result raises that sentence as an MHFFError.

    Args:
        model: a path, `"mini"`, `mhff.load(...)` or a compiled file.
        head: a name or a mix, as in `MHFFCalculator`. A list of names computes each of these heads:
            results are then in `info["<head>_energy"]`, `arrays["<head>_forces"]` and
            `info["<head>_stress"]`, and the calculator has only `head_energies`.
        properties: of energy, energies, forces and stress.
        device, dtype, form: see `MHFFCalculator`.
        memory: of an evaluation in each process, GB; it decides how many structures are evaluated
            together. A structure that needs more is evaluated alone.
        workers: processes; by default one for each core, or one for each GPU if there are several
            and `device` is "cuda". 0 computes here.

    Raises:
        MHFFError: at once for an unknown head, property, device or precision; during iteration for
            what is not an `Atoms`, and for a worker process that ends.
    """
    options = CompileOptions.model_validate({"device": device, "precision": dtype, "form": form})
    evaluator = open_evaluator(model, options)
    can = evaluator.capabilities
    heads, chosen = split_heads(can, head)
    request = request_for(properties, heads)
    job = Job(evaluator, request, chosen, memory)
    return job.run(structures, default_workers(can.device) if workers is None else workers)


def split_heads(
    can: Capabilities, head: HeadSpec | Sequence[str] | None
) -> tuple[tuple[str, ...], HeadSpec | None]:
    """Heads that are all to be computed, and the one to be computed if there are none.

    Raises MHFFError for a head that the model does not have.
    """
    if isinstance(head, Sequence) and not isinstance(head, str):
        for name in head:
            can.head_row(name)
        if not head or len(set(head)) < len(head):
            raise MHFFError(f"expected at least one head and none twice, got {listing(head)}")
        return tuple(head), None
    if head is not None or len(can.heads) == 1:
        can.head_row(head)
    return (), head


def request_for(properties: Sequence[str], heads: tuple[str, ...]) -> Request:
    """What is asked of every structure; raises MHFFError for an unknown property."""
    given = [properties] if isinstance(properties, str) else list(properties)
    for name in given:
        if name not in PROPERTIES:
            raise MHFFError(f"unknown property {name!r}: choose some of {listing(PROPERTIES)}")
    return Request(heads, "energies" in given, "forces" in given, "stress" in given)


@dataclass
class Job:
    """Structures through one evaluator."""

    evaluator: Evaluator
    request: Request
    head: HeadSpec | None
    memory: float = DEFAULT_MEMORY
    """GB."""
    place: Callable[[int], str] = "structures[{}]".format
    """Puts the number of a structure into words."""
    say: Callable[[str], None] = warnings.warn
    """Called with a sentence about each element that a head is used for without training."""

    def __post_init__(self) -> None:
        if not self.memory > 0:
            raise MHFFError(
                f"expected more than 0 GB of memory, got {self.memory!r}; the default is "
                f"{DEFAULT_MEMORY:g}"
            )

    def run(self, structures: Iterable[Atoms], n_workers: int) -> Iterator[Atoms]:
        """Copies of the structures with their results; see `compute`."""
        results = Results(self.evaluator.capabilities.heads.names, self.request.heads)
        ahead: deque[Group] = deque()
        found = outcomes(self.evaluator, self.request, self._stacks(structures, ahead), n_workers)
        for outcome in found:
            while not usable_in(ahead[0]):
                yield from results.on(ahead.popleft(), None)
            yield from results.on(ahead.popleft(), outcome)
        for group in ahead:  # none of these can be evaluated
            yield from results.on(group, None)

    def _stacks(self, structures: Iterable[Atoms], ahead: deque[Group]) -> Iterator[Stack]:
        """Stacks of as many structures as memory allows; their groups are left in `ahead`."""
        can = self.evaluator.capabilities
        extrapolations = Extrapolations(can, self.request.heads, self.say)
        for group in self._groups(structures):
            ahead.append(group)
            usable = usable_in(group)
            if usable:
                stack = stacked(usable)
                extrapolations.warn(stack)
                yield stack

    def _groups(self, structures: Iterable[Atoms]) -> Iterator[Group]:
        can = self.evaluator.capabilities
        prepare = Preparation(can, self.head, self.place, chooses=not self.request.heads)
        items = (prepare.item(index, each) for index, each in enumerate(structures))
        max_atoms = MAX_ATOMS if can.device == "cpu" else sys.maxsize
        return filled(items, self.evaluator.bytes_needed, self.memory, max_atoms)


def usable_in(group: Sequence[Item | Unusable]) -> list[Item]:
    """The structures of a group that can be evaluated."""
    return [item for item in group if isinstance(item, Item)]
