"""Samples that are made when they are asked for, and what is known of all samples in advance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import overload

import numpy as np

from mhff.data.batch import Batch
from mhff.data.identity import environment_key
from mhff.data.reading import LabelledStructure
from mhff.data.stored import StoredStructure
from mhff.workers import chunks, ordered

CHUNK = 64
"""Samples that a worker process inspects at a time."""
MakeSample = Callable[[LabelledStructure], Batch]


class StreamedSamples(Sequence[Batch]):
    """Samples of structures that stay in their files."""

    def __init__(
        self, groups: Sequence[tuple[Sequence[LabelledStructure], MakeSample]], n_workers: int
    ) -> None:
        """Makes every sample once, in `n_workers` processes, for `inspection`.

        `groups`: structures and what makes their samples. Raises the MHFFError of a structure whose
        sample cannot be made.
        """
        self.structures = [item for structures, _ in groups for item in structures]
        self.makers = [make for _, make in groups]
        sizes = [len(structures) for structures, _ in groups]
        self.maker_of = np.repeat(np.arange(len(groups)), sizes)
        found = ordered(partial(_inspect, self), chunks(len(self), CHUNK), n_workers)
        self.inspection = np.concatenate([NOTHING, *found])
        self.n_workers = n_workers

    def __len__(self) -> int:
        return len(self.structures)

    @overload
    def __getitem__(self, index: int) -> Batch: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Batch]: ...

    def __getitem__(self, index: int | slice) -> Batch | Sequence[Batch]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self.makers[self.maker_of[index]](self.structures[index].load())


def make_samples(
    groups: Sequence[tuple[Sequence[LabelledStructure], MakeSample]], n_workers: int
) -> Sequence[Batch]:
    """Samples of groups of structures, each with what makes them, group after group.

    They are in memory if all structures are. Raises the MHFFError of a structure whose sample
    cannot be made.
    """
    if any(isinstance(item, StoredStructure) for items, _ in groups for item in items):
        return StreamedSamples(groups, n_workers)
    return [make(item) for items, make in groups for item in items]


NOTHING = np.zeros((0, 3), dtype=np.int64)


def inspect(samples: Sequence[Batch]) -> np.ndarray:
    """Number of atoms, number of edges and `environment_key` of each sample, `[n, 3]`."""
    if isinstance(samples, StreamedSamples):
        return samples.inspection
    return _inspect(samples, range(len(samples)))


def _inspect(samples: Sequence[Batch], indices: Sequence[int]) -> np.ndarray:
    rows = []
    for index in indices:
        graph = samples[index].graph
        rows.append((graph.n_local, graph.edge_index.shape[1], environment_key(graph)))
    return np.array(rows, dtype=np.int64).reshape(-1, 3)
