"""Molecular dynamics: conservation of energy, and distances in a liquid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet

from mhff_suite.potential import Potential

VOLUME_OF_WATER = 29.9
"""Volume of a molecule at 300 K, A^3."""


@dataclass(frozen=True)
class Energies:
    """Total energies along a run, per atom."""

    times: np.ndarray
    """ps."""
    totals: np.ndarray
    """meV per atom, relative to the first."""

    @property
    def drift(self) -> float:
        """Slope, meV per atom and ps."""
        return float(np.polyfit(self.times, self.totals, 1)[0])

    @property
    def fluctuation(self) -> float:
        """Root mean square deviation from the straight line, meV per atom."""
        line = np.polyval(np.polyfit(self.times, self.totals, 1), self.times)
        return float(np.sqrt(((self.totals - line) ** 2).mean()))


def conserve(
    potential: Potential, atoms: Atoms, time_step: float, n_steps: int, temperature: float
) -> Energies:
    """Total energies of an NVE run; the time step is in fs, the temperature in K."""
    moving = atoms.copy()
    moving.calc = potential.calculator()
    # half of the kinetic energy goes into the potential energy of a crystal at rest
    _heat(moving, 2 * temperature)
    totals = []
    dynamics = VelocityVerlet(moving, time_step * units.fs)
    dynamics.attach(lambda: totals.append(moving.get_total_energy()))
    dynamics.run(n_steps)
    times = np.arange(len(totals)) * time_step * 1e-3
    return Energies(times, 1e3 * (np.array(totals) - totals[0]) / len(moving))


def _heat(atoms: Atoms, temperature: float) -> None:
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=np.random.default_rng(1))
    Stationary(atoms)


def water_box(n_per_side: int) -> Atoms:
    """Water at its density, molecules turned at random on the points of a grid; periodic."""
    rng = np.random.default_rng(1)
    spacing = VOLUME_OF_WATER ** (1 / 3)
    box = Atoms(cell=np.eye(3) * n_per_side * spacing, pbc=True)
    for point in np.ndindex(n_per_side, n_per_side, n_per_side):
        turned = molecule("H2O")
        turned.rotate(float(rng.uniform(0, 360)), rng.normal(size=3), center="COM")
        turned.translate((np.array(point) + 0.5) * spacing - turned.get_center_of_mass())
        box += turned
    return box


def sample(
    potential: Potential, atoms: Atoms, n_wait: int, n_steps: int, every: int
) -> list[Atoms]:
    """Structures of a run at 300 K in steps of 0.5 fs, after the first `n_wait` steps."""
    moving = atoms.copy()
    moving.calc = potential.calculator()
    _heat(moving, 300.0)
    dynamics = Langevin(
        moving,
        0.5 * units.fs,
        temperature_K=300.0,
        friction=0.02 / units.fs,
        fixcm=False,
        rng=np.random.default_rng(2),
    )
    dynamics.run(n_wait)
    found: list[Atoms] = []
    dynamics.attach(lambda: found.append(moving.copy()), interval=every)
    dynamics.run(n_steps)
    return found


def radial_distribution(
    structures: list[Atoms], symbol: str, n_bins: int = 90
) -> tuple[np.ndarray, np.ndarray]:
    """Distances, A, and g(r) of the atoms of one element, up to half the shortest cell vector."""
    r_max = min(structures[0].cell.lengths()) / 2
    edges = np.linspace(0, r_max, n_bins + 1)
    counts = np.zeros(n_bins)
    pairs = 0.0
    for atoms in structures:
        chosen = atoms[[each == symbol for each in atoms.get_chemical_symbols()]]
        n = len(chosen)
        distances = chosen.get_all_distances(mic=True)[np.triu_indices(n, 1)]
        counts += np.histogram(distances, edges)[0]
        pairs += n * (n - 1) / 2 / atoms.get_volume()
    shells = 4 / 3 * np.pi * (edges[1:] ** 3 - edges[:-1] ** 3)
    return (edges[1:] + edges[:-1]) / 2, counts / (pairs * shells)
