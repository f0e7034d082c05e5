"""Phonons of a crystal from forces on displaced atoms, through phonopy."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mhff_suite.potential import Potential
from mhff_suite.protocol import LeftOutError

MESH = (12, 12, 12)
TEMPERATURES = (100.0, 300.0, 600.0)
"""K."""
PATH = ("G", "X", "K", "G", "L")
POINTS = {
    "G": (0.0, 0.0, 0.0),
    "X": (0.5, 0.0, 0.5),
    "K": (0.375, 0.375, 0.75),
    "L": (0.5, 0.5, 0.5),
}
"""Points of the face-centred cubic lattice, in reciprocal vectors of the primitive cell."""
N_PER_SEGMENT = 31


@dataclass(frozen=True)
class Phonons:
    """Frequencies, in THz, imaginary ones negative, and what follows from them."""

    mesh: np.ndarray
    """`[n_points, n_bands]` on a mesh of the Brillouin zone."""
    bands: np.ndarray
    """`[n_points, n_bands]` along the path of `POINTS`."""
    distances: np.ndarray
    """`[n_points]` along the path."""
    ticks: tuple[tuple[float, str], ...]
    density: tuple[np.ndarray, np.ndarray]
    """Frequencies and the density of states."""
    heat_capacities: np.ndarray
    """`[3]` at `TEMPERATURES`, J/K per mole of primitive cells."""


def check_phonopy() -> None:
    """Raise LeftOutError unless phonopy is installed."""
    if find_spec("phonopy") is None:
        raise LeftOutError("needs phonopy: pip install 'mhff[suite]'")


def load(folder: Path) -> Any:
    """The displaced supercells and forces of one of phonopy's examples."""
    import phonopy

    return phonopy.load(
        folder / "phonopy_disp.yaml",
        force_sets_filename=str(folder / "FORCE_SETS"),
        is_nac=False,
        produce_fc=False,
        log_level=0,
    )


def supercells(phonon: Any) -> list[Atoms]:
    """The displaced supercells."""
    return [
        Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True)
        for cell in phonon.supercells_with_displacements
    ]


def forces_of(potential: Potential, phonon: Any) -> np.ndarray:
    """Forces on the displaced supercells, without those on the undisplaced one, eV/A."""
    cell = phonon.supercell
    perfect = Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True)
    found = potential.evaluate([perfect, *supercells(phonon)])
    return np.array([each.forces - found[0].forces for each in found[1:]])


def solve(phonon: Any, forces: np.ndarray) -> Phonons:
    """Phonons from forces `[n_displacements, n_atoms, 3]`, eV/A."""
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    phonon.run_mesh(MESH)
    phonon.run_total_dos()
    phonon.run_thermal_properties(temperatures=list(TEMPERATURES))
    corners = [np.array(POINTS[name]) for name in PATH]
    segments = [np.linspace(start, end, N_PER_SEGMENT) for start, end in pairwise(corners)]
    phonon.run_band_structure(segments)
    distances = phonon.band_structure.distances
    places = [distances[0][0], *(each[-1] for each in distances)]
    return Phonons(
        mesh=np.array(phonon.mesh.frequencies),
        bands=np.concatenate(phonon.band_structure.frequencies),
        distances=np.concatenate(distances),
        ticks=tuple(zip(map(float, places), PATH, strict=True)),
        density=(np.array(phonon.total_dos.frequency_points), np.array(phonon.total_dos.dos)),
        heat_capacities=np.array(phonon.thermal_properties.heat_capacity),
    )
