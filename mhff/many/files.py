"""Structures of files, by number over all files, each read when it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from ase import Atoms

from mhff.data.frames import Frames, open_frames
from mhff.data.reading import place


class FileStructures:
    """The structures of several files, one after the other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Raises MHFFError for a missing, unreadable or empty file."""
        self.files: list[Frames] = [open_frames(path) for path in paths]
        self._ends = [*accumulate(map(len, self.files))]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> Atoms:
        """Read a structure; raises MHFFError if it cannot be read, or if its file has changed."""
        frames, index = self._find(number)
        return frames[index]

    def place(self, number: int) -> str:
        """A structure in words: its number in its file, from 1."""
        frames, index = self._find(number)
        return place(frames.path, index)

    def _find(self, number: int) -> tuple[Frames, int]:
        """File of a structure, and its number there."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        file = bisect_right(self._ends, number)
        return self.files[file], number - (self._ends[file - 1] if file else 0)
