"""Labels as they would be with a smooth basis: energies and stresses of the periodic sets.

The sets are calculated with all plane waves below 400 eV. Their number N jumps when the cell
changes, and with it the energy; and the stress is the derivative at constant N, which differs from
that of the energies at constant cutoff (Pulay stress). With W = dE/dlnN, N0 = V k_max^3 / (6 pi^2)
plane waves for a cell of volume V, and the mean over k-points < >,

    E - W <ln(N / N0)>          is smooth, and
    stress + (W / V) * identity  is its derivative.

W comes from the atoms' cores: it is a sum over the atoms, to 2 % (README.md). The labels of the
program are kept as raw_energy and raw_stress, so that the correction may be repeated.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms, units

CUTOFF = 400.0
"""eV"""
SLOPES = {"H": -0.10, "C": -0.56, "N": -5.66, "O": -7.20, "Mg": -0.10}
"""dE/dlnN of each atom, eV: a fit to eleven crystals at 360, 400 and 440 eV."""


def slope(frame: Atoms) -> float:
    """dE/dlnN of a structure, eV."""
    return sum(SLOPES[symbol] for symbol in frame.get_chemical_symbols())


def excess(cell: np.ndarray, k_points: tuple[int, ...], cutoff: float = CUTOFF) -> float:
    """<ln(N / N0)> of a cell, A, with a Gamma-centred grid."""
    lattice = np.asarray(cell) / units.Bohr
    reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
    k_max = np.sqrt(2 * cutoff / units.Hartree)
    volume = abs(np.linalg.det(lattice))
    expected = volume * k_max**3 / (6 * np.pi**2)
    reach = np.ceil(k_max * np.linalg.norm(lattice, axis=1) / (2 * np.pi)).astype(int) + 1
    waves = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1)
    numbers = []
    for point in product(*map(range, k_points)):
        shift = np.divide(point, k_points)
        lengths = np.linalg.norm((waves.reshape(-1, 3) + shift) @ reciprocal, axis=1)
        numbers.append(np.count_nonzero(lengths <= k_max))
    return float(np.log(np.divide(numbers, expected)).mean())


def k_points_of(frame: Atoms) -> tuple[int, ...]:
    """The grid that a frame records; isolated atoms have the Gamma point."""
    recorded = frame.info.get("kpts", "1 1 1")
    numbers = recorded.split() if isinstance(recorded, str) else recorded
    return tuple(int(number) for number in numbers)


def with_smooth_basis(frame: Atoms) -> Atoms:
    """The frame with the labels of a smooth basis."""
    smooth = frame.copy()
    info = smooth.info
    energy = info.setdefault("raw_energy", info["REF_energy"])
    info["REF_energy"] = float(energy - slope(frame) * excess(frame.cell[:], k_points_of(frame)))
    if "REF_stress" in info:
        stress = np.array(info.setdefault("raw_stress", info["REF_stress"]))
        pulay = slope(frame) / frame.get_volume()
        info["REF_stress"] = stress + pulay * np.array([1, 1, 1, 0, 0, 0])
    return smooth
