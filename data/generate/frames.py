"""The common part of the labelling scripts: frames in extended XYZ and limits of usable frames."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.io import iread, write

MAX_FORCE = 20.0
"""Largest force component of a frame, eV/A; others are left out."""
MAX_MEAN_FORCE = 0.040
"""Largest mean force of a frame, eV/A: in others the grid or convergence noise is too large."""
MIN_SEPARATION = 0.68
"""Shortest distance of a pair, in units of the sum of the covalent radii."""


def labelled_frame(
    atoms: Atoms,
    head: str,
    level: str,
    config_type: str,
    energy: float,
    forces: np.ndarray,
    **more: object,
) -> Atoms:
    """A frame with raw labels: energy in eV, forces in eV/A; `more` goes to `info`."""
    frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    frame.info = {
        "config_type": config_type,
        "head": head,
        "level": level,
        "REF_energy": float(energy),
        **more,
    }
    frame.arrays["REF_forces"] = np.asarray(forces)
    return frame


def read_arguments(description: str, *heads: str) -> Namespace:
    """The arguments that the labelling scripts share; `head` if there are several."""
    parser = ArgumentParser(description=description)
    if heads:
        parser.add_argument("head", choices=heads)
    parser.add_argument("seed", type=int, help="seed of the structures drawn; names the output")
    parser.add_argument("seconds", type=float, help="time after which no more is begun")
    parser.add_argument("folder", type=Path, help="folder of the output")
    parser.add_argument(
        "--candidates",
        type=Path,
        help="label the structures of this file (candidates.py) instead of drawing some",
    )
    return parser.parse_args()


def label_until(
    seconds: float,
    output: Path,
    structures: Iterator[tuple[int, Atoms]],
    label: Callable[[Atoms], Atoms],
) -> None:
    """Label numbered structures until the time is over, and append the frames to a file."""
    start = time.time()
    for number, atoms in structures:
        if time.time() - start > seconds:
            return
        frame = report(number, atoms.info["config_type"], atoms, lambda atoms=atoms: label(atoms))
        if frame is not None:
            frame.info["number"] = number
            append_frame(output, frame)


def drawn(draw: Callable[[], tuple[str, Atoms]]) -> Iterator[tuple[int, Atoms]]:
    """Numbered structures without end."""
    number = 0
    while True:
        number += 1
        name, atoms = draw()
        atoms.info["config_type"] = name
        yield number, atoms


def candidates(path: Path, output: Path) -> Iterator[tuple[int, Atoms]]:
    """The structures of a file, behind those that the output has already."""
    done = [frame.info["number"] for frame in iread(output, ":")] if output.exists() else []
    last = max(done, default=0)
    for number, atoms in enumerate(iread(path, ":"), start=1):
        if number > last:
            yield number, atoms


def append_frame(path: Path, frame: Atoms) -> None:
    """Add a frame to the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, frame, append=True, format="extxyz")


def separated(atoms: Atoms) -> bool:
    """Whether no pair is closer than `MIN_SEPARATION` times the sum of its covalent radii."""
    distances = atoms.get_all_distances(mic=True)
    radii = covalent_radii[atoms.numbers]
    np.fill_diagonal(distances, np.inf)
    return bool((distances > MIN_SEPARATION * (radii[:, None] + radii[None, :])).all())


def without_mean_force(frame: Atoms) -> Atoms:
    """The frame with the mean force, which is noise, subtracted, and without its number."""
    cleaned = frame.copy()
    cleaned.info.pop("number", None)
    cleaned.arrays["REF_forces"] = frame.arrays["REF_forces"] - frame.arrays["REF_forces"].mean(0)
    return cleaned


def fault(frame: Atoms) -> str | None:
    """Why a frame with raw labels is left out; None if it is fine."""
    forces = frame.arrays["REF_forces"]
    if not np.isfinite(forces).all() or not np.isfinite(frame.info["REF_energy"]):
        return "labels are not finite"
    if np.abs(forces).max() > MAX_FORCE:
        return f"force component {np.abs(forces).max():.1f} eV/A"
    mean = float(np.linalg.norm(forces.mean(0)))
    return f"mean force {1e3 * mean:.0f} meV/A" if mean > MAX_MEAN_FORCE else None


def report(count: int, name: str, atoms: Atoms, label: Callable[[], Atoms]) -> Atoms | None:
    """The labelled frame, or None where the calculation fails; says one line either way."""
    try:
        frame = label()
    except (
        Exception
    ) as error:  # an unconverged calculation is left out, whatever its program raises
        print(f"left out {name}: {str(error)[:80]}", flush=True)
        return None
    largest = np.abs(frame.arrays["REF_forces"]).max()
    print(
        f"{count} {name} {len(atoms)} atoms {frame.info['REF_energy']:.3f} eV, largest force "
        f"{largest:.2f} eV/A",
        flush=True,
    )
    return frame
