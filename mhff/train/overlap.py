"""Structures that a run has twice, in all its heads and parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mhff.data.batch import Batch
from mhff.data.duplicates import Occurrence, duplicates
from mhff.data.split import PARTS, Part
from mhff.data.streaming import inspect
from mhff.train.headdata import HeadData


def overlaps(heads: Sequence[HeadData], samples: Mapping[Part, Sequence[Batch]]) -> list[str]:
    """Sentences about them; `samples` are those of the heads, head after head."""
    found: dict[int, list[Occurrence]] = defaultdict(list)
    for part in PARTS:
        members = [(head.name, item) for head in heads for item in head.parts[part]]
        keys = inspect(samples[part])[:, 2].tolist()
        for key, (name, item) in zip(keys, members, strict=True):
            found[key].append(Occurrence(name, part, item))
    return duplicates({key: group for key, group in found.items() if len(group) > 1})
