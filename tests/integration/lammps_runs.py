"""Running a real LAMMPS in tests: inputs to processes, outputs to arrays, and ASE's answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from calculators import exact
from structures import ELEMENTS, far_apart, magnesia, slab, tiny_cell, triclinic
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

from mhff import load
from mhff.options import CompileOptions, Form, Precision
from mhff_deploy.compiling.cache import compiled
from mhff_lammps.filekind import wrap

PRESSURE_TOLERANCE = (1e-6, 0.01)
"""Relative to the largest component, and bar: the larger counts."""
BAR_PER_EV_A3 = 1.6021765e6
"""LAMMPS' own factor of metal units (nktv2p)."""
VOIGT = [0, 1, 2, 5, 4, 3]
"""ASE's xx, yy, zz, yz, xz, xy in LAMMPS' order."""

BIN = Path(sys.prefix) / "bin"
LMP = BIN / "lmp"
LMP_KOKKOS = BIN / "lmp-kokkos"
MPIEXEC = BIN / "mpiexec"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "OMP_PROC_BIND": "false"}
"""Runs must not depend on an activated environment; two threads on busy cores are far slower.

Kokkos warns where OMP_PROC_BIND is not set; any other value binds the threads of all ranks and of
torch to the same core.
"""
TIMEOUT = 600
"""Ends a run that hangs, s."""

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
THERMO = " ".join(f"$({name}:%.17g)" for name in ["pe", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz"])
RECORD = """
dump out all custom 1 {name}.dump id fx fy fz c_e c_s[*]
dump_modify out sort id format float %.17g
run 0
print "{thermo}" file {name}.thermo
undump out
write_dump all custom {name}.atoms id type x y z modify sort id format float %.17g
"""


class Coupling(StrEnum):
    """How LAMMPS hands its arrays to the model; KOKKOS has a coupling of its own."""

    PLAIN = "plain"
    KOKKOS = "kokkos"

    @property
    def program(self) -> Path:
        """The executable."""
        return LMP_KOKKOS if self is Coupling.KOKKOS else LMP

    @property
    def arguments(self) -> list[str]:
        """What turns it on: arguments of the executable or of a driver."""
        if self is Coupling.PLAIN:
            return []
        return ["-k", "on", "-sf", "kk", "-pk", "kokkos", "newton", "on", "neigh", "half"]


class Result(NamedTuple):
    """Results of one evaluation; tensors have the components xx, yy, zz, xy, xz, yz."""

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


def run(
    folder: Path, text: str, ranks: int = 1, coupling: Coupling = Coupling.PLAIN
) -> subprocess.CompletedProcess[str]:
    """Run an input script in a folder, with an empty environment."""
    (folder / "in.lammps").write_text(text)
    program = [str(coupling.program), *coupling.arguments]
    return _run(folder, [*program, "-in", "in.lammps", "-log", "none"], ranks)


def run_python(
    folder: Path, text: str, ranks: int = 1, coupling: Coupling = Coupling.PLAIN
) -> subprocess.CompletedProcess[str]:
    """Run a Python driver in a folder, with an empty environment.

    The driver hands its arguments to LAMMPS: `lammps(cmdargs=[..., *sys.argv[1:]])`.
    """
    (folder / "driver.py").write_text(text)
    return _run(folder, [sys.executable, "driver.py", *coupling.arguments], ranks)


def _run(folder: Path, command: list[str], ranks: int) -> subprocess.CompletedProcess[str]:
    start = [str(MPIEXEC), "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run(
        [*start, *command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def turned(atoms: Atoms) -> Atoms:
    """The same structure in LAMMPS' orientation: a along x, b in the xy plane."""
    cell, rotation = atoms.cell.standard_form()
    return Atoms(atoms.symbols, positions=atoms.positions @ rotation.T, cell=cell, pbc=atoms.pbc)


def start(folder: Path, name: str, atoms: Atoms) -> str:
    """Write a data file, and give commands that read it; `atoms` in LAMMPS' orientation."""
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


def bonded(folder: Path, name: str, atoms: Atoms, bonds: Sequence[tuple[int, int]]) -> str:
    """Commands that read a structure with bonds between atom IDs; bonded atoms share a molecule."""
    text = start(folder, name, atoms).replace(
        "atom_style atomic", "atom_style bond\nbond_style zero"
    )
    file = folder / f"{name}.data"
    count = f"{len(atoms)} atoms"
    head, body = (
        file.read_text()
        .replace(count, f"{count}\n{len(bonds)} bonds\n1 bond types")
        .split("Atoms # atomic")
    )
    molecules = {atom: number for number, bond in enumerate(bonds, start=2) for atom in bond}
    rows = [line.split() for line in body.splitlines() if line.strip()]
    lines = [" ".join([row[0], str(molecules.get(int(row[0]), 1)), *row[1:]]) for row in rows]
    lines += ["", "Bonds", ""]
    lines += [f"{number} 1 {i} {j}" for number, (i, j) in enumerate(bonds, start=1)]
    file.write_text(f"{head}Atoms # bond\n\n" + "\n".join(lines) + "\n")
    return text + "bond_coeff 1\n"


def labels(head: str) -> str:
    """Labels of all atom types with one head."""
    return " ".join(f"{element}@{head}" for element in ELEMENTS)


def record(name: str) -> str:
    """Commands that evaluate without moving anything and write what `read` reads."""
    return RECORD.format(name=name, thermo=THERMO)


def read(folder: Path, name: str) -> Result:
    """What the commands of `record` have written."""
    thermo = np.loadtxt(folder / f"{name}.thermo")
    dump = np.loadtxt(folder / f"{name}.dump", skiprows=9, ndmin=2)
    return Result(thermo[0], dump[:, 1:4], dump[:, 4], thermo[1:], dump[:, 5:])


def read_atoms(folder: Path, name: str) -> Atoms:
    """The structure that the commands of `record` have evaluated, in LAMMPS' orientation."""
    file = folder / f"{name}.atoms"
    return ase.io.read(file, format="lammps-dump-text", specorder=ELEMENTS, units="metal")


@cache
def lammps_file(form: Form) -> bytes:
    """The bundled model's file for LAMMPS, float64, without a default head."""
    options = CompileOptions(precision=Precision.FLOAT64, form=form)
    return wrap(compiled(load("mini"), options).read_bytes())


def folder_with_model(folder: Path, form: Form = Form.TORCHSCRIPT) -> Path:
    """The folder, with the file `mini.mliap` in it; TorchScript loads fastest."""
    assert LMP.exists(), f"no {LMP}: run make lammps"
    (folder / "mini.mliap").write_bytes(lammps_file(form))
    return folder


def primitive() -> Atoms:
    """2 atoms, in LAMMPS' orientation."""
    return turned(tiny_cell())


def gas() -> Atoms:
    """Atoms without neighbours, not periodic, in the box that LAMMPS needs."""
    atoms = far_apart()
    atoms.set_cell([100.0] * 3)
    atoms.center()
    return atoms


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    "bulk": magnesia,
    "triclinic": lambda: turned(triclinic()),
    "primitive": primitive,
    "slab": lambda: turned(slab()),
    "gas": gas,
}
"""Structures in LAMMPS' orientation, by name."""


def ase_result(atoms: Atoms, head: str | None = None) -> Result:
    """What the ASE calculator gives; with `head` None, the structure names a head per atom."""
    atoms = atoms.copy()
    atoms.calc = exact("mini", head)
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
    assert abs(got.energy - expected.energy) <= ENGINE_ENERGY * n_atoms
    assert np.abs(got.energies - expected.energies).max() <= ENGINE_ENERGY
    assert np.abs(got.forces - expected.forces).max() <= ENGINE_FORCE
    relative, absolute = PRESSURE_TOLERANCE
    assert np.abs(got.pressure - expected.pressure).max() <= max(
        absolute, relative * np.abs(expected.pressure).max()
    )
