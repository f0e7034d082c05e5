"""Work on the structures of files that may take hours: compiled first, then in processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ase import Atoms

from mhff.atoms import geometry
from mhff.evaluator import Evaluator
from mhff.many.filling import estimated_pairs
from mhff.many.processes import default_workers, in_processes

Result = TypeVar("Result")


def expect(evaluator: Evaluator, examples: Sequence[Atoms], n_structures: int) -> None:
    """Compile now if so many structures like these are worth it.

    All parts of a job should be computed by the same program, wherever a run begins.
    """
    if not examples:
        return
    can = evaluator.capabilities
    symbols = {symbol for atoms in examples for symbol in atoms.get_chemical_symbols()}
    n_edges = sum(estimated_pairs(*geometry(atoms), can.r_max) for atoms in examples)
    known = [element for element in can.elements if element in symbols]
    evaluator.expect(known, n_edges * n_structures / len(examples))


def in_parts(
    function: Callable[[range], Result], parts: Sequence[range], device: str, workers: int | None
) -> Iterator[Result]:
    """`function` of each part, in their order, in `workers` processes; see `default_workers`."""
    n_workers = default_workers(device) if workers is None else workers
    return in_processes(function, parts, device, n_workers if len(parts) > 1 else 0)
