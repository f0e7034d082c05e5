"""Batches of samples, made ahead of their use by worker processes if the samples are streamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from mhff.data.batch import Batch, join
from mhff.data.streaming import StreamedSamples
from mhff.workers import chunks, ordered


def load_batches(samples: Sequence[Batch], members: Sequence[Sequence[int]]) -> Iterator[Batch]:
    """A batch of the samples with each of these lists of indices, in order.

    The batches are the same with any number of worker processes.
    """
    n_workers = samples.n_workers if isinstance(samples, StreamedSamples) else 0
    return ordered(partial(_batch, samples), members, n_workers)


def in_batches(samples: Sequence[Batch], batch_size: int) -> Iterator[Batch]:
    """The samples in their order, `batch_size` at a time."""
    return load_batches(samples, chunks(len(samples), batch_size))


def _batch(samples: Sequence[Batch], members: Sequence[int]) -> Batch:
    return join([samples[index] for index in members])
