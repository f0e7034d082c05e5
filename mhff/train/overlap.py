"""Structures that a run has twice, in all its heads and parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mhff.data.batch import Batch
from mhff.data.duplicates import Occurrence, duplicates
from mhff.data.identity import same_environments
from mhff.data.split import PARTS, Part
from mhff.data.streaming import inspect
from mhff.graph import Graph
from mhff.train.headdata import HeadData


class _Member(NamedTuple):
    occurrence: Occurrence
    number: int
    """Index of its sample in its part."""


def overlaps(heads: Sequence[HeadData], samples: Mapping[Part, Sequence[Batch]]) -> list[str]:
    """Sentences about them; `samples` are those of the heads, head after head."""
    similar: dict[int, list[_Member]] = defaultdict(list)
    for part in PARTS:
        items = [Occurrence(head.name, part, item) for head in heads for item in head.parts[part]]
        keys = inspect(samples[part])[:, 2].tolist()
        for number, (key, item) in enumerate(zip(keys, items, strict=True)):
            similar[key].append(_Member(item, number))
    groups = (group for members in similar.values() for group in _same(members, samples))
    return duplicates(groups)


def _same(
    members: Sequence[_Member], samples: Mapping[Part, Sequence[Batch]]
) -> Iterator[list[Occurrence]]:
    """Groups of the same structures among similar ones."""
    if len(members) == 1:
        return
    groups: list[tuple[Graph, list[Occurrence]]] = []
    for member in members:
        graph = samples[member.occurrence.part][member.number].graph
        known = next((group for each, group in groups if same_environments(each, graph)), None)
        if known is None:
            groups.append((graph, [member.occurrence]))
        else:
            known.append(member.occurrence)
    yield from (group for _, group in groups if len(group) > 1)
