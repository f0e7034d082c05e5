"""Structures that are there twice: in training and test sets, or in one training set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mhff.data.reading import LabelledStructure
from mhff.data.split import PARTS, Part
from mhff.errors import shortened

MAX_LISTED = 5
"""Pairs that a sentence names."""


class Occurrence(NamedTuple):
    """One structure of the data."""

    head: str
    part: Part
    structure: LabelledStructure


def duplicates(groups: Iterable[Sequence[Occurrence]]) -> list[str]:
    """Sentences about groups of structures that are the same.

    In different parts they make held-out errors too small, whatever their heads, since the heads
    share their layers. In the training set of one head they count twice.
    """
    leaks: dict[Part, list[str]] = defaultdict(list)
    twice: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        train = {item.head: item for item in reversed(group) if item.part == "train"}
        for item in group:
            first = train.get(item.head) or next(iter(train.values()), None)
            if first is None or item is first:
                continue
            if item.part != "train":
                leaks[item.part].append(f"{item.structure.place} is {first.structure.place}")
            elif item.head == first.head:
                twice[item.head].append(f"{item.structure.place} is {first.structure.place}")
    return [
        *(
            f"{len(pairs)} structures of the {part} set are also in the training set (but perhaps "
            f"for the order, place, orientation or images of their atoms): its errors are too "
            f"small; {shortened(pairs, MAX_LISTED)}"
            for part, pairs in sorted(leaks.items(), key=lambda pair: PARTS.index(pair[0]))
        ),
        *(
            f"head {head}: {len(pairs)} training structures are there twice: "
            f"{shortened(pairs, MAX_LISTED)}"
            for head, pairs in twice.items()
        ),
    ]
