"""Labelled structures of a file: in memory if it is small, left in the file if it is large."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from mhff.data.frames import Frames, open_frames
from mhff.data.keys import Keys, KeySetting
from mhff.data.labels import all_labels
from mhff.data.reading import LabelledStructure, label_frames
from mhff.data.stored import CHUNK, read_stored
from mhff.workers import chunks, n_cores, ordered

MAX_IN_MEMORY = 50_000_000
"""Size of the largest file, bytes, whose structures are kept in memory."""


class LabelledFile:
    """A file of structures whose labels are not known yet.

    Raises MHFFError for a missing, unreadable or empty file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames: Sequence[Atoms] | Frames = open_frames(path)
        self.is_large = path.stat().st_size > MAX_IN_MEMORY
        self.n_workers = n_cores() if self.is_large else 0
        if not self.is_large:
            self.frames = list(self.frames)

    def names(self) -> set[str]:
        """Names of everything that some structure carries beside its atoms."""
        numbers = chunks(len(self.frames), CHUNK)
        return set().union(*ordered(self._names, numbers, self.n_workers))

    def labelled(self, keys: Keys, setting: KeySetting) -> Sequence[LabelledStructure]:
        """The structures with their labels; MHFFErrors are those of `label_frames`."""
        if self.is_large:
            return read_stored(self.path, keys, setting, self.n_workers)
        return label_frames(self.frames, keys, setting, self.path)

    def _names(self, numbers: range) -> set[str]:
        return {name for number in numbers for name in all_labels(self.frames[number])}
