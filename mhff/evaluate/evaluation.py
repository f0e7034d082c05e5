"""Evaluate structures with a model: comparisons of every label with its prediction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mhff.capabilities import Capabilities
from mhff.data.batch import Batch, sample
from mhff.data.loading import in_batches
from mhff.data.reading import LabelledStructure
from mhff.errors import MHFFError, listing, located
from mhff.evaluate.errors import Comparison, compare
from mhff.evaluate.prediction import predict
from mhff.evaluator import Evaluator

BATCH_SIZE = 8


def evaluate_samples(evaluator: Evaluator, samples: Sequence[Batch]) -> list[Comparison]:
    """Comparisons, in order, of samples made for the evaluator's elements, cutoff and heads."""
    return evaluate_batches(evaluator, in_batches(samples, BATCH_SIZE))


def evaluate_batches(evaluator: Evaluator, batches: Iterable[Batch]) -> list[Comparison]:
    """Comparisons, in order, of the structures of batches made for the evaluator."""
    can = evaluator.capabilities
    comparisons: list[Comparison] = []
    for batch in batches:
        moved = batch.to(can.device, can.dtype)
        prediction = predict(evaluator.evaluate, moved, len(can.heads))
        comparisons += compare(prediction, batch, can.heads.names)
    return comparisons


def evaluate_structures(
    evaluator: Evaluator, structures: Sequence[LabelledStructure], head: str | None = None
) -> list[Comparison]:
    """Comparisons of all structures that are not isolated atoms.

    Each is evaluated with `head`, else with the head it names itself, else with the evaluator's
    default head or only head. Raises MHFFError, naming the structure, for a structure without a
    head, and for heads, elements, geometries, charges and spins that the model cannot take.
    """
    chosen = [structure for structure in structures if not structure.is_isolated_atom]
    if not chosen:
        raise MHFFError("expected structures to evaluate, got only isolated atoms; give other data")
    can = evaluator.capabilities
    return evaluate_samples(evaluator, [_sample(structure, head, can) for structure in chosen])


def _sample(structure: LabelledStructure, head: str | None, can: Capabilities) -> Batch:
    names = can.heads.names
    only = names[0] if len(names) == 1 else None
    default = can.default_head if can.default_head in names else None  # labels belong to no mix
    chosen = head or structure.head or default or only
    if chosen is None:
        raise MHFFError(
            f"{structure.place} does not say which head it belongs to: choose one of "
            f"{listing(names)} with --head"
        )
    with located(structure.place):
        column = can.heads.index(chosen)
    return sample(structure, can, column, default_state=can.default_state)
