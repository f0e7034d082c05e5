"""Energies of every head along a trajectory, in memory and as a CSV file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from openmm import unit

from mhff.errors import MHFFError, listing
from mhff.files import read_file
from mhff.heads import Head, Heads, HeadSpec

BEFORE_HEAD = "energy "
AFTER_HEAD = " (kJ/mol)"


@dataclass(frozen=True)
class HeadEnergies:
    """Frames of a trajectory: the energy of every head, and the weights that drove the dynamics.

    `samples[100:]` holds the frames from number 100 on; numpy's other ways to choose several frames
    work, too.
    """

    heads: tuple[str, ...]
    steps: np.ndarray
    """`[n_frames]`, number of steps before each frame."""
    times: np.ndarray
    """`[n_frames]`, ps; NaN if unknown."""
    energies: np.ndarray
    """`[n_frames, n_heads]`, kJ/mol, energy of each head alone."""
    weights: np.ndarray
    """`[n_frames, n_heads]`, the weight that each head had."""

    @classmethod
    def sampled(cls, energies: Any, heads: Sequence[str], head: HeadSpec) -> HeadEnergies:
        """Frames that were sampled with `head`, which is a head's name or a mix.

        `energies [n_frames, n_heads]`, a Quantity or kJ/mol, has a column for each of `heads`.
        Raises MHFFError for another shape and for an unknown head.
        """
        table = in_units(energies, unit.kilojoule_per_mole, "energies")
        if table.ndim != 2 or table.shape[1] != len(heads):
            raise MHFFError(
                f"expected energies of the shape [n_frames, {len(heads)}], a column for each of "
                f"{listing(heads)}, got the shape {list(table.shape)}"
            )
        n_frames = len(table)
        weights = np.tile(weights_of(heads, head), (n_frames, 1))
        return cls(tuple(heads), np.arange(n_frames), np.full(n_frames, np.nan), table, weights)

    @classmethod
    def from_rows(cls, heads: Sequence[str], rows: Sequence[Sequence[float]]) -> HeadEnergies:
        """Frames from rows of numbers, in the order of `columns`."""
        n_heads = len(heads)
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 2 + 2 * n_heads)
        steps, times = table[:, 0].astype(np.int64), table[:, 1]
        return cls(tuple(heads), steps, times, table[:, 2 : 2 + n_heads], table[:, 2 + n_heads :])

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> HeadEnergies:
        """Frames from a file that `HeadEnergyReporter` wrote.

        A last line that was cut off is left out. Raises MHFFError for any other file.
        """
        text = read_file(path).decode(errors="replace")
        complete = text[: text.rfind("\n") + 1]
        first, *lines = list(csv.reader(io.StringIO(complete))) or [[]]
        heads = [
            title.removeprefix(BEFORE_HEAD).removesuffix(AFTER_HEAD)
            for title in first
            if title.startswith(BEFORE_HEAD)
        ]
        try:
            if first != columns(heads):
                raise ValueError(f"the first line is {','.join(first)!r}")
            return cls.from_rows(heads, [[float(number) for number in line] for line in lines])
        except ValueError as error:
            raise MHFFError(
                f"'{path}' is not a table of head energies ({error}); give a file that "
                "HeadEnergyReporter wrote"
            ) from error

    def rows(self) -> Iterator[list[float]]:
        """The numbers of each frame, in the order of `columns`."""
        frames = zip(self.steps, self.times, self.energies, self.weights, strict=True)
        for step, time, energies, weights in frames:
            yield [int(step), float(time), *energies.tolist(), *weights.tolist()]

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, chosen: Any) -> HeadEnergies:
        return HeadEnergies(
            self.heads,
            self.steps[chosen],
            self.times[chosen],
            self.energies[chosen],
            self.weights[chosen],
        )


def joined(samples: HeadEnergies | Iterable[HeadEnergies]) -> HeadEnergies:
    """All frames in one; raises MHFFError for none, and for frames with different heads."""
    whole = isinstance(samples, HeadEnergies) or not isinstance(samples, Iterable)
    given: list[Any] = [samples] if whole else [*cast(Iterable[Any], samples)]
    for part in given:
        if not isinstance(part, HeadEnergies):
            raise MHFFError(
                f"expected head energies, got {type(part).__name__}; give the samples of a "
                "HeadEnergyReporter, HeadEnergies.read(file), or HeadEnergies.sampled(energies, "
                "heads, head)"
            )
    parts: list[HeadEnergies] = given
    if sum(len(part) for part in parts) == 0:
        raise MHFFError("expected frames with head energies, got none; sample some first")
    heads = parts[0].heads
    for part in parts:
        if part.heads != heads:
            raise MHFFError(
                f"expected frames with the heads {listing(heads)}, got some with "
                f"{listing(part.heads)}; give frames of one model"
            )
    return HeadEnergies(
        heads,
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.energies for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )


def columns(heads: Sequence[str]) -> list[str]:
    """Titles of the columns of a file."""
    energies = [f"{BEFORE_HEAD}{head}{AFTER_HEAD}" for head in heads]
    return ["step", "time (ps)", *energies, *(f"weight {head}" for head in heads)]


def weights_of(heads: Sequence[str], head: HeadSpec) -> np.ndarray:
    """Weights `[n_heads]` of a head's name or a mix; raises MHFFError for unknown heads."""
    return Heads([Head(name=name) for name in heads]).row(head).numpy()


def in_units(values: Any, units: unit.Unit, role: str) -> np.ndarray:
    """Values of a Quantity in these units, or plain numbers that are in these units already.

    Raises MHFFError, with `role` as the name of these values, for others.
    """
    try:
        if unit.is_quantity(values):
            values = values.value_in_unit(units)
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MHFFError(
            f"expected numbers or a Quantity as {role}, got {type(values).__name__} ({error}); "
            f"give numbers, or a Quantity that converts to {units.get_name()}"
        ) from error
