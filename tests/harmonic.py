"""Harmonic wells at several levels of theory, whose free energies and averages are known."""

from __future__ import annotations

import numpy as np

from mhff_openmm import HeadEnergies

TEMPERATURE = 300.0
KT = 0.00831446261815324 * TEMPERATURE
"""kJ/mol."""
DIMENSIONS = 6
HEADS = ("soft", "stiff", "stiffer")
SPRINGS = np.array([800.0, 1000.0, 1400.0])
"""kJ/mol/nm^2."""
MINIMA = np.array([-4.0e5, -4.1e5, -3.9e5])
"""kJ/mol, as far apart as the total energies of electronic-structure theories."""


def sample(weights: np.ndarray, n_frames: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Energies `[n_frames, n_heads]`, kJ/mol, and r^2, nm^2, of independent frames of a mix."""
    spread = np.sqrt(KT / (weights @ SPRINGS))
    positions = np.random.default_rng(seed).normal(0, spread, (n_frames, DIMENSIONS))
    squares = (positions**2).sum(axis=1)
    return MINIMA + 0.5 * SPRINGS * squares[:, None], squares


def samples(head: str, n_frames: int = 1500, seed: int = 1) -> HeadEnergies:
    energies, _ = sample(np.array([float(name == head) for name in HEADS]), n_frames, seed)
    return HeadEnergies.sampled(energies, HEADS, head)


def free_energy(start: str, end: str) -> float:
    """Free energy of `end` minus that of `start`, kJ/mol."""
    first, last = HEADS.index(start), HEADS.index(end)
    shift = 0.5 * DIMENSIONS * KT * np.log(SPRINGS[last] / SPRINGS[first])
    return float(MINIMA[last] - MINIMA[first] + shift)


def mean_energy(head: str) -> float:
    """kJ/mol."""
    return float(MINIMA[HEADS.index(head)] + 0.5 * DIMENSIONS * KT)


def mean_square(head: str) -> float:
    """Mean of r^2, nm^2."""
    return float(DIMENSIONS * KT / SPRINGS[HEADS.index(head)])
