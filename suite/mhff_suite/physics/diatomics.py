"""Energy curves of two atoms, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from mhff_suite.potential import Potential, energies

CLOSEST = 0.45
"""Shortest distance, in units of the sum of covalent radii."""
REPULSIVE_BELOW = 0.65
"""Distance, in the same unit, below which any two atoms repel each other."""
RESOLUTION = 0.01
"""Differences of energies that do not count as a turn, eV."""
BEYOND = 0.5
"""Distance beyond the cutoff at which atoms must not feel each other, A."""
JUMP_FACTOR = 8.0
"""A step of the energy that exceeds the local slope by this factor is a jump."""
MIN_JUMP = 0.05
"""eV."""


@dataclass(frozen=True)
class Curve:
    """The energy of two atoms against their distance, relative to the atoms far apart."""

    pair: tuple[str, str]
    distances: np.ndarray
    """A, ascending."""
    energies: np.ndarray
    """eV."""
    unit: float
    """The sum of the covalent radii, A."""

    @property
    def name(self) -> str:
        """The pair."""
        return "-".join(self.pair)

    @property
    def is_repulsive(self) -> bool:
        """Whether the energy falls with the distance wherever the atoms are very close."""
        close = self.distances <= REPULSIVE_BELOW * self.unit
        return bool((np.diff(self.energies[close]) < 0).all())

    @property
    def n_minima(self) -> int:
        """Number of minima, without ripples below the resolution."""
        return len(_turns(self.energies)) // 2 if len(self.energies) else 0

    @property
    def n_jumps(self) -> int:
        """Number of steps that are much larger than those beside them."""
        steps = np.abs(np.diff(self.energies))
        beside = np.maximum(steps[:-2], steps[2:])
        return int(((steps[1:-1] > JUMP_FACTOR * beside) & (steps[1:-1] > MIN_JUMP)).sum())

    @property
    def limit(self) -> float:
        """Energy of the farthest distance, which is beyond the cutoff, eV."""
        return float(abs(self.energies[-1]))


def pairs_of(elements: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs of elements."""
    return list(combinations_with_replacement(elements, 2))


def diatomic_curves(
    potential: Potential, pairs: Sequence[tuple[str, str]], r_max: float, n_points: int
) -> list[Curve]:
    """The curves of pairs, from very close to beyond the cutoff."""
    symbols = sorted({symbol for pair in pairs for symbol in pair})
    alone = energies(potential, [Atoms(symbol, [[0.0, 0.0, 0.0]]) for symbol in symbols])
    isolated = dict(zip(symbols, alone, strict=True))
    grids = [_grid(pair, r_max, n_points) for pair in pairs]
    structures = [
        Atoms(list(pair), [[0.0, 0.0, 0.0], [0.0, 0.0, r]])
        for pair, grid in zip(pairs, grids, strict=True)
        for r in grid
    ]
    found = energies(potential, structures).reshape(len(pairs), n_points)
    return [
        Curve(pair, grid, values - isolated[pair[0]] - isolated[pair[1]], _unit(pair))
        for pair, grid, values in zip(pairs, grids, found, strict=True)
    ]


def _unit(pair: tuple[str, str]) -> float:
    return float(sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair))


def _grid(pair: tuple[str, str], r_max: float, n_points: int) -> np.ndarray:
    """Distances; the last one is beyond the cutoff."""
    inside = np.linspace(CLOSEST * _unit(pair), r_max, n_points - 1)
    return np.append(inside, r_max + BEYOND)


def _turns(values: np.ndarray) -> list[int]:
    """Directions, -1 down and 1 up, between which a curve turns, from its start to its end.

    A curve that falls to one minimum and rises again has two of them; one that only falls has one.
    """
    directions: list[int] = []
    extreme = values[0]
    for value in values[1:]:
        change = value - extreme
        if abs(change) < RESOLUTION:
            continue
        direction = 1 if change > 0 else -1
        if not directions or directions[-1] != direction:
            directions.append(direction)
        extreme = value
    return directions
