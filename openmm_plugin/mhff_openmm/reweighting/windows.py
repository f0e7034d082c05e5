"""The theories that were sampled, and their uncorrelated frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mhff.errors import MHFFError
from mhff_openmm.reweighting.multistate import statistical_inefficiency, subsample
from mhff_openmm.theory.samples import HeadEnergies

MIN_FRAMES = 10
"""Smallest number of frames of a sampled theory."""


@dataclass(frozen=True)
class Window:
    """A theory that was sampled: frames with the same weights of the heads."""

    name: str
    weights: np.ndarray
    """`[n_heads]`."""
    frames: np.ndarray
    """Indices of its frames."""


def windows_of(samples: HeadEnergies) -> list[Window]:
    """The sampled theories in the order of their first frames.

    Raises MHFFError for one with fewer than MIN_FRAMES frames.
    """
    rows, first, numbers = np.unique(
        samples.weights, axis=0, return_index=True, return_inverse=True
    )
    numbers = numbers.reshape(-1)
    windows = [
        Window(theory_name(samples.heads, rows[row]), rows[row], np.flatnonzero(numbers == row))
        for row in np.argsort(first)
    ]
    for window in windows:
        if len(window.frames) < MIN_FRAMES:
            raise MHFFError(
                f"only {len(window.frames)} of the {len(samples)} frames were sampled with "
                f"'{window.name}', of {len(windows)} sampled theories; expected at least "
                f"{MIN_FRAMES} of each: stay with each theory for longer, or leave these frames out"
            )
    return windows


def theory_name(heads: Sequence[str], weights: np.ndarray) -> str:
    """Name of a head, or a mix such as "0.25 A + 0.75 B"."""
    used = [(float(weight), head) for head, weight in zip(heads, weights, strict=True) if weight]
    if len(used) == 1 and used[0][0] == 1.0:
        return used[0][1]
    return " + ".join(f"{weight:.12g} {head}" for weight, head in used) or "no head"


def uncorrelated(window: Window, series: np.ndarray) -> Window:
    """The window with as many frames as are uncorrelated.

    `series [n_all_frames, n_series]`: quantities that the result depends on; the one with the
    largest statistical inefficiency decides.
    """
    own = series[window.frames]
    inefficiency = max(statistical_inefficiency(column) for column in own.T)
    return Window(window.name, window.weights, window.frames[subsample(len(own), inefficiency)])
