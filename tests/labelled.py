"""Labelled frames for tests: cheap physics with exact forces instead of DFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.morse import MorsePotential
from ase.io import read, write

LEVELS = {
    "loose": {"epsilon": 0.5, "r0": 1.2, "rho0": 4.0},
    "tight": {"epsilon": 1.0, "r0": 1.0, "rho0": 5.0},
}
"""Parameters of the Morse potential that stands for each head's level of theory."""
E0S = {"loose": {"H": -1.0, "O": -20.0}, "tight": {"H": -2.0, "O": -30.0}}
"""Energies of isolated atoms, eV."""


def labelled_frame(
    atoms: Atoms, stress: np.ndarray | None = None, seed: int = 0, **info: Any
) -> Atoms:
    """A frame with made-up labels."""
    frame, rng = atoms.copy(), np.random.default_rng(seed)
    frame.info = {"REF_energy": float(rng.normal()), **info}
    frame.arrays["REF_forces"] = rng.normal(size=(len(atoms), 3)).round(6)
    if stress is not None:
        frame.info["REF_stress"] = stress
    return frame


def isolated_atoms(head: str) -> list[Atoms]:
    """One frame per element."""
    info = {"config_type": "IsolatedAtom", "head": head}
    return [
        Atoms(symbol, info={**info, "REF_energy": energy}) for symbol, energy in E0S[head].items()
    ]


def morse_frame(head: str, rng: np.random.Generator) -> Atoms:
    """A rattled cell of two H and two O atoms, labelled with the head's Morse potential."""
    cell = 2.6 * np.eye(3) + rng.normal(0, 0.05, (3, 3))
    atoms = Atoms(
        "OHOH",
        scaled_positions=[(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
        cell=cell,
        pbc=True,
    )
    atoms.positions += rng.normal(0, 0.08, (4, 3))
    atoms.calc = MorsePotential(**LEVELS[head], rcut1=2.4, rcut2=3.0)
    info = {"config_type": "cell", "head": head, "REF_stress": atoms.get_stress()}
    energy = atoms.get_potential_energy() + 2 * sum(E0S[head].values())
    frame = Atoms(
        atoms.numbers,
        atoms.positions,
        cell=atoms.cell,
        pbc=True,
        info={**info, "REF_energy": float(energy)},
    )
    frame.arrays["REF_forces"] = atoms.get_forces()
    return frame


def write_data(folder: Path, head: str, n: int, seed: int = 0) -> Path:
    """A file of isolated atoms and `n` labelled cells."""
    rng = np.random.default_rng(seed)
    path = folder / f"{head}.extxyz"
    write(
        path, [*isolated_atoms(head), *(morse_frame(head, rng) for _ in range(n))], format="extxyz"
    )
    return path


def both_heads(folder: Path, n: int) -> Path:
    """Cells of both heads in one file; the first of head `tight` has no forces and no stress."""
    frames = [
        frame
        for seed, head in enumerate(E0S)
        for frame in read(write_data(folder, head, n, seed), ":")
    ]
    first = next(frame for frame in frames if frame.info["head"] == "tight" and len(frame) > 1)
    del first.arrays["REF_forces"], first.info["REF_stress"]
    first.info["config_type"] = "bare"
    write(folder / "both.extxyz", frames, format="extxyz")
    return folder / "both.extxyz"
