"""Which structures are replayed: drawn at random, by spread of descriptors, by chemistry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from mhff.data.reading import LabelledStructure

Structures = Sequence[LabelledStructure]


def at_random(structures: Structures, number: int | None, seed: int) -> list[LabelledStructure]:
    """At most `number` structures, in their order; None takes all."""
    if number is None or number >= len(structures):
        return list(structures)
    chosen = np.random.default_rng(seed).choice(len(structures), number, replace=False)
    return [structures[index] for index in sorted(chosen)]


def farthest(
    structures: Structures, number: int, descriptors: Callable[[Structures], np.ndarray]
) -> list[LabelledStructure]:
    """At most `number` structures that are spread in the space of their descriptors."""
    if number >= len(structures):
        return list(structures)
    chosen = farthest_points(descriptors(structures), number)
    return [structures[index] for index in sorted(chosen)]


def farthest_points(points: np.ndarray, number: int) -> list[int]:
    """Indices of `number` of the points `[n, d]`.

    The first is nearest to the mean; each next one is farthest from those chosen before.
    """
    chosen = [int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin())]
    distances = np.full(len(points), np.inf)
    while len(chosen) < number:
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
        distances[chosen] = -1.0  # those that coincide are not drawn again
        chosen.append(int(distances.argmax()))
    return chosen


def with_elements(structures: Structures, elements: Collection[str]) -> list[LabelledStructure]:
    """The structures that have only these elements."""
    return [structure for structure in structures if structure.elements <= set(elements)]
