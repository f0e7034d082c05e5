"""Collects DFT outputs below a folder into one file of extended XYZ for `mhff train`.

    python collect.py FOLDER data.extxyz

It reads VASP (vasprun.xml), Quantum ESPRESSO (*.pwo) and CP2K (NAME-pos-1.xyz, NAME-frc-1.xyz and
NAME-1.cell). Each structure gets REF_energy (eV), REF_forces (eV/A), REF_stress (eV/A^3, where the
output has one) and a config_type: IsolatedAtom for single atoms below a folder named `isolated`,
else the name of the first folder below FOLDER.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import iread, write
from ase.units import Bohr, Hartree


def collect(folder: Path) -> Iterator[Atoms]:
    """The labelled structures of all outputs below a folder."""
    for pattern, read in READERS.items():
        for path in sorted(folder.rglob(pattern)):
            for atoms in read(path):
                atoms.info["config_type"] = config_type(path.relative_to(folder), atoms)
                yield atoms


def config_type(path: Path, atoms: Atoms) -> str:
    """IsolatedAtom, or the name of the first folder."""
    if len(atoms) == 1 and "isolated" in path.parts:
        return "IsolatedAtom"
    return path.parts[0] if len(path.parts) > 1 else "unknown"


def read_vasp(path: Path) -> Iterator[Atoms]:
    """All ionic steps of a vasprun.xml."""
    return with_labels(path, "vasp-xml")


def read_espresso(path: Path) -> Iterator[Atoms]:
    """All steps of an output of pw.x."""
    return with_labels(path, "espresso-out")


def with_labels(path: Path, kind: str) -> Iterator[Atoms]:
    """Structures of an output that ASE reads.

    The energy is the free energy, whose derivatives are the forces; ASE's `energy` is extrapolated
    to zero smearing.
    """
    for frame in iread(path, ":", format=kind):
        results = frame.calc.results
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
        atoms.info["REF_energy"] = results["free_energy"]
        if (
            results.get("forces") is not None
        ):  # not frame.get_forces(), which is zero for fixed atoms
            atoms.arrays["REF_forces"] = results["forces"]
        if results.get("stress") is not None:
            atoms.info["REF_stress"] = results["stress"]
        yield atoms


def read_cp2k(path: Path) -> Iterator[Atoms]:
    """All steps of a trajectory of CP2K, which ASE does not read: A, Hartree, Hartree/Bohr."""
    name = path.name.removesuffix("-pos-1.xyz")
    cells = np.loadtxt(path.with_name(f"{name}-1.cell"), ndmin=2)[:, 2:11].reshape(-1, 3, 3)
    positions = read_xyz(path)
    forces = read_xyz(path.with_name(f"{name}-frc-1.xyz"))
    for (symbols, comment, place), (_, _, force), cell in zip(
        positions, forces, cells, strict=True
    ):
        atoms = Atoms(symbols, place, cell=cell, pbc=True)
        atoms.info["REF_energy"] = float(comment.split("E =")[1].split(",")[0]) * Hartree
        atoms.arrays["REF_forces"] = force * Hartree / Bohr
        yield atoms


def read_xyz(path: Path) -> Iterator[tuple[list[str], str, np.ndarray]]:
    """Symbols, comment and numbers of each frame of an XYZ file."""
    with path.open() as lines:
        for line in lines:
            comment = next(lines)
            rows = [next(lines).split() for _ in range(int(line))]
            yield (
                [row[0] for row in rows],
                comment,
                np.array([row[1:4] for row in rows], dtype=float),
            )


READERS = {"vasprun.xml": read_vasp, "*.pwo": read_espresso, "*-pos-1.xyz": read_cp2k}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Collect DFT outputs for mhff train.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    structures = list(collect(arguments.folder))
    if not structures:
        raise SystemExit(f"no {', '.join(READERS)} below {arguments.folder}")
    write(arguments.output, structures, format="extxyz")
    print(f"{len(structures)} structures in {arguments.output}")


if __name__ == "__main__":
    main()
