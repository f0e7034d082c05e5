"""Running a real LAMMPS in tests: structures to data files, inputs to processes, outputs to arrays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
from ase import Atoms

ELEMENTS = ("H", "C", "N", "O", "Mg")
"""Atom types 1 to 5 of every data file."""
LMP = Path(sys.prefix) / "bin" / "lmp"
MPIEXEC = Path(sys.prefix) / "bin" / "mpiexec"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
"""A run must not depend on an activated environment; one thread, because two on contended cores are far slower."""
TIMEOUT = 540
"""Seconds; only to end a run that hangs."""

START = """
units metal
atom_style atomic
boundary {boundary}
atom_modify map yes
read_data {data}
"""
MEASURE = """
compute e all pe/atom
compute s all stress/atom NULL virial
thermo_style custom step pe pxx pyy pzz pxy pxz pyz
thermo_modify norm no
"""
RECORD = """
dump out all custom 1 {name}.dump id fx fy fz c_e c_s[*]
dump_modify out sort id format float %.17g
run 0
print "$(pe:%.17g) $(pxx:%.17g) $(pyy:%.17g) $(pzz:%.17g) $(pxy:%.17g) $(pxz:%.17g) $(pyz:%.17g)" file {name}.thermo
undump out
"""


class Result(NamedTuple):
    """What LAMMPS says about a structure; the order of the tensor's components is xx, yy, zz, xy, xz, yz."""

    energy: float
    """eV."""
    forces: np.ndarray
    """`[n, 3]`, eV/A."""
    energies: np.ndarray
    """`[n]`, eV."""
    pressure: np.ndarray
    """`[6]`, bar."""
    atomic_stress: np.ndarray
    """`[n, 6]`, bar A^3."""


def run(folder: Path, text: str, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    """Run an input script in a folder, with an empty environment."""
    (folder / "in.lammps").write_text(text)
    start = [str(MPIEXEC), "-n", str(ranks)] if ranks > 1 else []
    return _run(folder, [*start, str(LMP), "-in", "in.lammps", "-log", "none"])


def run_python(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a Python driver in a folder, with an empty environment."""
    (folder / "driver.py").write_text(text)
    return _run(folder, [sys.executable, "driver.py"])


def run_mhff(folder: Path, arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line `mhff` in a folder, with an empty environment."""
    return _run(folder, [str(Path(sys.prefix) / "bin" / "mhff"), *arguments.split()])


def _run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=TIMEOUT)


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """Output of a run that must have succeeded."""
    assert done.returncode == 0, f"{done.args} failed with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def turned(atoms: Atoms) -> Atoms:
    """The same structure in LAMMPS' orientation: a along x, b in the xy plane."""
    cell, rotation = atoms.cell.standard_form()
    return Atoms(atoms.symbols, positions=atoms.positions @ rotation.T, cell=cell, pbc=atoms.pbc)


def start(folder: Path, name: str, atoms: Atoms) -> str:
    """Commands that read a structure, which must be in LAMMPS' orientation; writes its data file."""
    ase.io.write(folder / f"{name}.data", atoms, format="lammps-data", specorder=ELEMENTS, masses=True, atom_style="atomic")
    return START.format(data=f"{name}.data", boundary=" ".join("p" if periodic else "f" for periodic in atoms.pbc))


def labels(head: str) -> str:
    """Labels of all atom types with one head."""
    return " ".join(f"{element}@{head}" for element in ELEMENTS)


def record(name: str) -> str:
    """Commands that evaluate without moving anything and write what `read` reads."""
    return RECORD.format(name=name)


def read(folder: Path, name: str) -> Result:
    """What the commands of `record` have written."""
    thermo = np.loadtxt(folder / f"{name}.thermo")
    dump = np.loadtxt(folder / f"{name}.dump", skiprows=9, ndmin=2)
    return Result(thermo[0], dump[:, 1:4], dump[:, 4], thermo[1:], dump[:, 5:])
