"""Statistics of repeated times: medians, quartiles, and ratios within a round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """Median and quartiles."""

    median: float
    lower: float
    upper: float

    @property
    def relative(self) -> float:
        """Half the distance of the quartiles, relative to the median."""
        return (self.upper - self.lower) / (2 * self.median)


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of a sample; raises ValueError for an empty one."""
    if not len(values):
        raise ValueError("expected at least one value")
    lower, median, upper = np.percentile(np.asarray(values, dtype=np.float64), [25, 50, 75])
    return Spread(float(median), float(lower), float(upper))


def ratio(of: Sequence[float], to: Sequence[float]) -> Spread:
    """Spread of the ratios within rounds, where the machine was the same for both."""
    return spread([a / b for a, b in zip(of, to, strict=True)])
