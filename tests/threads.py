"""torch's threads in tests: one, except where the results must not depend on their number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

N_THREADS = 1
"""Two OpenMP threads on contended cores are far slower than one."""


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Another number of threads, for a while."""
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(N_THREADS)
