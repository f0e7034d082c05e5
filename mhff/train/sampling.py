"""Which structures an epoch sees, how often, and in which order.

By default an epoch sees every training structure once. A head's structures are seen r times, with

    r = repeats * (N / n)^(1 - 1 / T)

where n is their number, N that of the head with most structures, T `run.sampling_temperature`, and
`repeats` the head's own setting. So a step draws each head with a probability proportional to
repeats * n^(1 / T): T = 1 follows the numbers of structures, and with a large T all heads come
equally often. If r is no whole number, an epoch sees each structure floor(r) times and some of
them, drawn anew for every epoch, once more: round(r n) altogether, but at least one.

The order depends on the seed and the epoch alone, so a run continues in the middle of an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch


class Sampling:
    """The epochs of a run over groups of structures, numbered group after group."""

    def __init__(
        self, sizes: Sequence[int], repeats: Sequence[float], temperature: float, seed: int
    ) -> None:
        """`sizes` and `repeats` are those of each group, for example of each head."""
        exponent = 1 - 1 / temperature
        largest = max(sizes, default=0)
        self.sizes = tuple(sizes)
        self.counts = tuple(
            max(round(repeat * (largest / n) ** exponent * n), 1) if n else 0
            for n, repeat in zip(sizes, repeats, strict=True)
        )
        """Structures of each group that an epoch sees, with repetitions."""
        self.seed = seed

    def __len__(self) -> int:
        return sum(self.counts)

    def order(self, epoch: int) -> list[int]:
        """Numbers of the structures in an epoch, in their order."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        chosen = []
        start = 0
        for size, count in zip(self.sizes, self.counts, strict=True):
            whole, more = divmod(count, size) if size else (0, 0)
            chosen += [torch.arange(start, start + size)] * whole
            if more:
                chosen.append(start + torch.randperm(size, generator=generator)[:more])
            start += size
        numbers = torch.cat(chosen) if chosen else torch.arange(0)
        order: list[int] = numbers[torch.randperm(len(numbers), generator=generator)].tolist()
        return order


def batches(order: Sequence[int], batch_size: int) -> list[Sequence[int]]:
    """An order cut into batches; the last may be smaller."""
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def shares(batch: Sequence[int], rank: int, size: int, parts: int) -> list[Sequence[int]]:
    """One process's share of a batch, in at most `parts` parts of nearly equal numbers.

    `rank` of `size` processes; a batch smaller than `size` leaves some processes without a part.
    """
    own = batch[rank::size]
    bounds = [len(own) * part // parts for part in range(parts + 1)]
    cut = [own[start:end] for start, end in pairwise(bounds)]
    return [part for part in cut if part]
