"""Energy against volume: the minimum, the bulk modulus and its derivative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mhff_suite.potential import Potential, energies

COARSE = np.linspace(0.76, 1.36, 13)
"""Volumes, relative to a reference, among which the minimum is looked for."""
FINE = np.linspace(0.94, 1.06, 7)
"""Volumes, relative to the minimum, of the fit."""


@dataclass(frozen=True)
class EquationOfState:
    """The third-order Birch-Murnaghan equation of a crystal, per atom."""

    volume: float
    """A^3 per atom."""
    bulk_modulus: float
    """eV/A^3."""
    derivative: float
    """Derivative of the bulk modulus with respect to pressure."""


def scaled(atoms: Atoms, factor: float) -> Atoms:
    """A crystal with its volume times a factor, in the same shape."""
    changed = atoms.copy()
    changed.set_cell(atoms.cell[:] * factor ** (1 / 3), scale_atoms=True)
    return changed


def energies_per_atom(potential: Potential, atoms: Atoms, factors: np.ndarray) -> np.ndarray:
    """Energies per atom, eV, at volumes times these factors."""
    return energies(potential, [scaled(atoms, each) for each in factors]) / len(atoms)


def fit(volumes: Sequence[float] | np.ndarray, values: np.ndarray) -> EquationOfState | None:
    """The Birch-Murnaghan equation of energies per atom; None if it has no minimum there.

    It is a cubic polynomial in x = V^(-2/3) (F. Birch, Phys. Rev. 71, 809, 1947).
    """
    volumes = np.asarray(volumes)
    x = volumes ** (-2 / 3)
    centre = x.mean()
    polynomial = np.polynomial.Polynomial.fit(x, values - values.mean(), 3)
    slope = polynomial.deriv()
    curvature = slope.deriv()
    roots = [
        float(root.real)
        for root in slope.roots()
        if abs(root.imag) < 1e-9 * centre and curvature(root.real) > 0
    ]
    inside = [root for root in roots if x.min() <= root <= x.max()]
    if not inside:
        return None
    (place,) = inside[:1]
    second = float(curvature(place))
    third = float(curvature.deriv()(place))
    # chain rule from x to V at a point where dE/dx = 0
    by_volume = 4 / 9 * place**5 * second
    by_volume_again = -20 / 9 * place**6.5 * second - 8 / 27 * place**7.5 * third
    volume = place**-1.5
    return EquationOfState(volume, volume * by_volume, -1.0 - volume * by_volume_again / by_volume)


def equation_of_state(potential: Potential, atoms: Atoms) -> EquationOfState | None:
    """The equation of state of a crystal; None without a minimum near the given volume."""
    coarse = energies_per_atom(potential, atoms, COARSE)
    lowest = int(np.argmin(coarse))
    if lowest in (0, len(COARSE) - 1):
        return None
    neighbours = slice(lowest - 1, lowest + 2)
    parabola = np.polynomial.Polynomial.fit(COARSE[neighbours], coarse[neighbours], 2)
    (middle,) = parabola.deriv().roots().real
    factors = FINE * float(middle)
    volumes = factors * atoms.get_volume() / len(atoms)
    return fit(volumes, energies_per_atom(potential, atoms, factors))
