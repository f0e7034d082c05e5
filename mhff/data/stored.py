"""Structures that stay in their files: for sets that are larger than memory.

About 0.4 kB per structure is remembered. The rest is read again whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from ase import Atoms

from mhff.data.frames import Frames, open_frames
from mhff.data.keys import Keys, KeySetting
from mhff.data.reading import Composition, LabelledStructure, State, label_frame, place
from mhff.data.weights import Weights
from mhff.workers import chunks, ordered

CHUNK = 256
"""Structures that a worker process reads at a time."""

Value = TypeVar("Value", bound=Hashable)


@dataclass(frozen=True)
class Source:
    """The structures of a file."""

    frames: Frames
    keys: Keys
    setting: KeySetting

    def load(self, index: int) -> LabelledStructure:
        """Read a structure; raises MHFFError as `label_frames` does, and if the file changed."""
        where = place(self.frames.path, index)
        return label_frame(self.frames[index], self.keys, self.setting, where)


class Summary(NamedTuple):
    """What is remembered of a structure; the names are those in `LabelledStructure`."""

    energy: float | None
    largest_force: float | None
    squared_forces: float | None
    fraction: float
    has_stress: bool
    composition: Composition
    state: State
    head: str | None
    config_type: str
    found: frozenset[str]
    unread: tuple[str, ...]
    not_finite: tuple[str, ...]
    weights: Weights


OFTEN_EQUAL = (
    "composition",
    "state",
    "head",
    "config_type",
    "found",
    "unread",
    "not_finite",
    "weights",
)
"""What many structures share, so that it is kept once."""


class StoredStructure(LabelledStructure):
    """A structure in its file; used as one in memory is.

    What its summary holds is read from there.
    """

    __slots__ = ("index", "source", "summary")

    source: Source
    index: int
    summary: Summary

    def __init__(self, source: Source, index: int, summary: Summary) -> None:
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "index", index)
        object.__setattr__(self, "summary", summary)

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredStructure, (self.source, self.index, self.summary)

    def load(self) -> LabelledStructure:
        """The structure with everything in memory; reads the file."""
        return self.source.load(self.index)

    @property
    def atoms(self) -> Atoms:
        """Reads the file, as `forces` and `stress` do."""
        return self.load().atoms

    @property
    def forces(self) -> np.ndarray | None:
        """See `LabelledStructure`."""
        return self.load().forces

    @property
    def stress(self) -> np.ndarray | None:
        """See `LabelledStructure`."""
        return self.load().stress

    @property
    def place(self) -> str:
        """See `LabelledStructure`."""
        return place(self.source.frames.path, self.index)

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return sum(count for _, count in self.summary.composition)


for _name in Summary._fields:
    setattr(StoredStructure, _name, property(attrgetter(f"summary.{_name}")))


def read_stored(
    path: str | Path, keys: Keys, setting: KeySetting, n_workers: int
) -> list[StoredStructure]:
    """All structures of a file, read once by `n_workers` processes.

    Raises MHFFError for a missing, unreadable or empty file, and as `label_frames` does.
    """
    source = Source(open_frames(path), keys, setting)
    numbers = chunks(len(source.frames), CHUNK)
    summaries = ordered(partial(_summaries, source), numbers, n_workers)
    known: dict[Hashable, Hashable] = {}
    return [
        StoredStructure(source, index, _shared(summary, known))
        for chunk, found in zip(numbers, summaries, strict=True)
        for index, summary in zip(chunk, found, strict=True)
    ]


def _summaries(source: Source, indices: Sequence[int]) -> list[Summary]:
    return [_summary(source.load(index)) for index in indices]


def _summary(structure: LabelledStructure) -> Summary:
    values = (getattr(structure, name) for name in Summary._fields)
    return Summary(*values)


def _shared(summary: Summary, known: dict[Hashable, Any]) -> Summary:
    """The summary, with one object for all structures that have the same composition, ..."""
    values = {name: getattr(summary, name) for name in OFTEN_EQUAL}
    return summary._replace(**{name: known.setdefault(v, v) for name, v in values.items()})
