"""Running a real LAMMPS in tests: structures to data files, inputs to processes, outputs to arrays,
and ASE's answer.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
from ase import Atoms, build
from structures import ELEMENTS, MGO_LATTICE, tiny_cell

from mhff import MHFFCalculator
from mhff_deploy.artefact.content import Form
from mhff_deploy.compiling.cache import compiled
from mhff_lammps.engine import TARGET

ENERGY_TOLERANCE = 1e-9
"""eV per atom, between engines, float64."""
FORCE_TOLERANCE = 1e-8
"""eV/A, between engines, float64."""
PRESSURE_TOLERANCE = (1e-6, 0.01)
"""Relative to the largest component, and bar: the larger counts."""
BAR_PER_EV_A3 = 1.6021765e6
"""LAMMPS' own factor of metal units (nktv2p)."""
VOIGT = [0, 1, 2, 5, 4, 3]
"""ASE's xx, yy, zz, yz, xz, xy in LAMMPS' order."""

LMP = Path(sys.prefix) / "bin" / "lmp"
MPIEXEC = Path(sys.prefix) / "bin" / "mpiexec"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
"""A run must not depend on an activated environment; one thread, because two on contended cores are
far slower.
"""
TIMEOUT = 1800
"""Seconds; only to end a run that hangs."""

PAIR = "pair_style mliap unified mini.mliap 0\n"
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
    """What LAMMPS says about a structure; the order of the tensor's components is xx, yy, zz, xy,
    xz, yz.
    """

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
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=TIMEOUT
    )


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """Output of a run that must have succeeded."""
    assert done.returncode == 0, (
        f"{done.args} failed with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def turned(atoms: Atoms) -> Atoms:
    """The same structure in LAMMPS' orientation: a along x, b in the xy plane."""
    cell, rotation = atoms.cell.standard_form()
    return Atoms(atoms.symbols, positions=atoms.positions @ rotation.T, cell=cell, pbc=atoms.pbc)


def start(folder: Path, name: str, atoms: Atoms) -> str:
    """Commands that read a structure, which must be in LAMMPS' orientation; writes its data file."""
    ase.io.write(
        folder / f"{name}.data",
        atoms,
        format="lammps-data",
        specorder=ELEMENTS,
        masses=True,
        atom_style="atomic",
    )
    return START.format(
        data=f"{name}.data", boundary=" ".join("p" if periodic else "f" for periodic in atoms.pbc)
    )


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


@cache
def lammps_file(form: Form) -> bytes:
    """The bundled model's file for LAMMPS, float64, without a default head."""
    return TARGET.wrap(compiled("mini", dtype="float64", form=form).read_bytes())


def folder_with_model(folder: Path, form: Form = "torchscript") -> Path:
    """The folder, with the model's file `mini.mliap` in it, by default in the form that loads
    fastest.
    """
    assert LMP.exists(), f"no {LMP}: run make lammps"
    (folder / "mini.mliap").write_bytes(lammps_file(form))
    return folder


def magnesia() -> Atoms:
    """64 atoms; the box is smaller than twice the cutoff."""
    atoms = build.bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=7)
    return atoms


def primitive() -> Atoms:
    """2 atoms, in LAMMPS' orientation."""
    return turned(tiny_cell())


def ase_result(atoms: Atoms, head: str | None = None) -> Result:
    """What the ASE calculator says of a structure (with `head` None: of one that names a head per
    atom).
    """
    atoms = atoms.copy()
    atoms.calc = MHFFCalculator("mini", head=head, dtype="float64", form="eager")
    pressure = -BAR_PER_EV_A3 * atoms.get_stress()[VOIGT]
    nothing = np.zeros((len(atoms), 6))
    return Result(
        atoms.get_potential_energy(),
        atoms.get_forces(),
        atoms.calc.results["energies"],
        pressure,
        nothing,
    )


def assert_same(got: Result, expected: Result) -> None:
    n_atoms = len(expected.forces)
    assert abs(got.energy - expected.energy) <= ENERGY_TOLERANCE * n_atoms
    assert np.abs(got.energies - expected.energies).max() <= ENERGY_TOLERANCE
    assert np.abs(got.forces - expected.forces).max() <= FORCE_TOLERANCE
    relative, absolute = PRESSURE_TOLERANCE
    assert np.abs(got.pressure - expected.pressure).max() <= max(
        absolute, relative * np.abs(expected.pressure).max()
    )
