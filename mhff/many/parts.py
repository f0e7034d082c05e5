"""A long job over files in parts: each is read, computed and written as text by one process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import ase.io
from ase import Atoms

import mhff
from mhff.errors import MHFFError
from mhff.many.compute import Job
from mhff.many.files import FileStructures
from mhff.many.results import TROUBLE_KEY
from mhff.workers import chunks

PART = 64
"""Structures in a part."""


def parts_of(n_structures: int) -> list[range]:
    """Numbers of the structures in each part; they do not depend on where a run begins."""
    return chunks(n_structures, PART)


@dataclass(frozen=True)
class Part:
    """What became of a part."""

    text: bytes
    """The structures with their results, in extended XYZ."""
    troubles: tuple[str, ...]
    """A sentence about each structure that could not be computed."""
    notes: tuple[str, ...]
    """Sentences about heads that are used for elements they were not trained on."""
    n_structures: int


@dataclass
class PartJob:
    """The function of a part; worker processes hold copies."""

    job: Job
    structures: FileStructures

    def __call__(self, numbers: range) -> Part:
        """Read, compute and write the structures of these numbers."""
        readable = _Readable(self.structures, numbers)
        notes: list[str] = []
        found = replace(self.job, place=readable.place, say=notes.append).run(readable, 0)
        texts = []
        failed = []
        for atoms in found:
            texts.append(_text(atoms))
            if TROUBLE_KEY in atoms.info:
                failed.append(str(atoms.info[TROUBLE_KEY]))
        troubles = (*readable.troubles, *failed)
        return Part("".join(texts).encode(), troubles, tuple(notes), len(numbers))

    def examples(self) -> list[Atoms]:
        """Some structures of the job, as far as they can be read."""
        return list(_Readable(self.structures, range(min(PART, len(self.structures)))))

    def settings(self) -> dict[str, Any]:
        """Everything but the model that the results depend on, as a JSON object."""
        can = self.job.evaluator.capabilities
        files = [[str(each.path.resolve()), *each.stamp] for each in self.structures.files]
        return {
            "head": self.job.head,
            "properties": dict(vars(self.job.request), heads=list(self.job.request.heads)),
            "structures": files,
            "precision": str(can.precision),
            "device": can.device,
            "memory": self.job.memory,
            "version of mhff": mhff.__version__,
        }


def _text(atoms: Atoms) -> str:
    """A structure in extended XYZ, with its results."""
    stream = io.StringIO()
    ase.io.write(stream, atoms, format="extxyz")
    return stream.getvalue()


@dataclass
class _Readable:
    """The structures of these numbers that can be read."""

    structures: FileStructures
    numbers: range
    troubles: list[str] = field(default_factory=list)
    """A sentence about each of the others."""
    _read: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[Atoms]:
        for number in self.numbers:
            try:
                atoms = self.structures[number]
            except MHFFError as error:
                self.troubles.append(str(error))
                continue
            self._read.append(number)
            yield atoms

    def place(self, index: int) -> str:
        """The structure that was read as this one, in words."""
        return self.structures.place(self._read[index])
