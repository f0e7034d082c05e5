"""Evaluate structures with a model: comparisons of every label with its prediction."""

from __future__ import annotations

from collections.abc import Sequence

from mhff.capabilities import Capabilities
from mhff.data.batch import Batch, in_batches, sample
from mhff.data.reading import LabelledStructure
from mhff.errors import MHFFError, listing
from mhff.evaluate.errors import Comparison, compare
from mhff.evaluate.prediction import predict
from mhff.evaluator import Evaluator

BATCH_SIZE = 8


def evaluate_samples(evaluator: Evaluator, samples: Sequence[Batch]) -> list[Comparison]:
    """Comparisons of samples made with the evaluator's elements, cutoff and heads, in their order."""
    can = evaluator.capabilities
    comparisons: list[Comparison] = []
    for batch in in_batches(samples, BATCH_SIZE):
        moved = batch.to(can.device, can.dtype)
        prediction = predict(evaluator.evaluate, moved, len(can.heads))
        comparisons += compare(prediction, batch, can.heads.names)
    return comparisons


def evaluate_structures(
    evaluator: Evaluator, structures: Sequence[LabelledStructure], head: str | None = None
) -> list[Comparison]:
    """Comparisons of all structures that are not isolated atoms, each with `head`, or else with the
    head it names itself, or else with the evaluator's default head or only head.

    Raises MHFFError for structures that name no head where none is given, and for heads and
    elements that the model lacks.
    """
    chosen = [structure for structure in structures if not structure.is_isolated_atom]
    if not chosen:
        raise MHFFError(
            "expected structures to evaluate, got none but isolated atoms; give other data"
        )
    can = evaluator.capabilities
    columns = [can.heads.index(_head_of(structure, head, can)) for structure in chosen]
    samples = [
        sample(item, can.elements, can.r_max, column)
        for item, column in zip(chosen, columns, strict=True)
    ]
    return evaluate_samples(evaluator, samples)


def _head_of(structure: LabelledStructure, head: str | None, can: Capabilities) -> str:
    names = can.heads.names
    only = names[0] if len(names) == 1 else None
    chosen = head or structure.head or can.default_head or only
    if chosen is None:
        raise MHFFError(
            f"the structures do not say which head they belong to: choose one of {listing(names)} "
            "with --head"
        )
    return chosen
