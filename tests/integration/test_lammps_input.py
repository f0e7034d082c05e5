"""What `mhff lammps-input` writes runs in LAMMPS, with the numbers of ASE."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from calculators import exact
from command_line import Here, output_of
from lammps_runs import (
    BAR_PER_EV_A3,
    MEASURE,
    PRESSURE_TOLERANCE,
    Coupling,
    ase_result,
    read,
    record,
    run,
)
from structures import (
    adsorbate,
    left_handed,
    magnesia,
    one_atom,
    slab,
    tiny_cell,
    triclinic,
    water_cluster,
    wire,
)
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

from mhff_lammps.inputs.box import place

XX_YY_ZZ_XY_XZ_YZ = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""Components of a tensor in LAMMPS' order."""
ONE_THREAD = "When using a single thread, the Kokkos Serial backend"
"""A warning of KOKKOS about its own speed."""
SKEW = "Triclinic box skew is large. LAMMPS will run inefficiently."
"""LAMMPS says so of primitive cells in their best form."""
KINETIC = 1e-6
"""eV; LAMMPS and ASE have slightly different constants."""
DRIFT = 1e-3
"""eV per atom in 20 steps of dynamics."""


def rotated(atoms: Atoms) -> Atoms:
    """The structure in no particular orientation."""
    atoms.rotate(40, (1, 2, 3), rotate_cell=True)
    return atoms


def per_atom_heads() -> Atoms:
    atoms = adsorbate()
    names = ["molecules" if symbol == "C" else "surfaces" for symbol in atoms.symbols]
    names[-1] = "molecules"
    atoms.arrays["mhff_head"] = np.array(names)
    return atoms


CASES: dict[str, Callable[[], Atoms]] = {
    "triclinic": triclinic,
    "left-handed": left_handed,
    "tiny": tiny_cell,
    "rotated bulk": lambda: rotated(magnesia(1)),
    "slab": slab,
    "rotated slab": lambda: rotated(slab()),
    "wire": wire,
    "molecules": water_cluster,
    "atom": one_atom,
    "heads per atom": per_atom_heads,
}


def written(mhff: Here, folder: Path, file: Path, *options: object) -> str:
    """The input script of a structure; the model is that of the folder, float64."""
    model = ("--model", folder / "mini.mliap", "--head", "surf")
    output_of(mhff("lammps-input", file, *model, "-o", folder / "run", *options))
    return (folder / "run/in.lammps").read_text()


def saved(folder: Path, atoms: Atoms) -> Path:
    """A file with everything about the structure; only extended XYZ keeps heads."""
    file = folder / ("a.xyz" if "mhff_head" in atoms.arrays else "a.traj")
    ase.io.write(file, atoms)
    return file


@pytest.mark.parametrize("name", CASES)
def test_lammps_gives_the_numbers_of_ase(
    mhff: Here, lammps_folder: Path, name: str, coupling: Coupling
) -> None:
    file = saved(lammps_folder, CASES[name]())
    text = written(mhff, lammps_folder, file)
    at_rest = "".join(line for line in text.splitlines(True) if not line.startswith("velocity"))
    done = run(lammps_folder / "run", at_rest + MEASURE + record("a"), coupling=coupling)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    warnings = [line for line in done.stdout.splitlines() if "WARNING" in line]
    assert [line for line in warnings if SKEW not in line and ONE_THREAD not in line] == []
    got = read(lammps_folder / "run", "a")
    atoms = ase.io.read(file)
    rotation = place(atoms).rotation
    atoms.calc = exact("mini", "surfaces")
    assert abs(got.energy - atoms.get_potential_energy()) <= ENGINE_ENERGY * len(atoms)
    assert np.abs(got.forces - atoms.get_forces() @ rotation).max() <= ENGINE_FORCE
    if atoms.cell.rank == 3:
        stress = rotation.T @ atoms.get_stress(voigt=False) @ rotation
        pressure = -BAR_PER_EV_A3 * np.array([stress[place] for place in XX_YY_ZZ_XY_XZ_YZ])
        relative, absolute = PRESSURE_TOLERANCE
        tolerance = max(absolute, relative * np.abs(pressure).max())
        assert np.abs(got.pressure - pressure).max() <= tolerance


def thermo(output: str) -> np.ndarray:
    """Rows of LAMMPS' thermodynamic output: step, time, temp, pe, etotal, press."""
    lines = output.split("Step ")[1].splitlines()[1:]
    rows = []
    for line in lines:
        if line.startswith("Loop time"):
            break
        rows.append([float(word) for word in line.split()])
    return np.array(rows)


def test_velocities_are_those_of_the_structure(
    mhff: Here, lammps_folder: Path, coupling: Coupling
) -> None:
    atoms = left_handed()
    rng = np.random.default_rng(5)
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)))
    text = written(mhff, lammps_folder, saved(lammps_folder, atoms))
    done = run(lammps_folder / "run", text.replace("index 0", "index 20"), coupling=coupling)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    first, *_, last = thermo(done.stdout)
    assert abs(first[4] - first[3] - atoms.get_kinetic_energy()) <= KINETIC
    assert abs(last[4] - first[4]) <= DRIFT * len(atoms)


def test_frozen_atoms_stay(mhff: Here, lammps_folder: Path, coupling: Coupling) -> None:
    atoms = slab()
    atoms.set_constraint(FixAtoms([0, 1]))
    text = written(mhff, lammps_folder, saved(lammps_folder, atoms))
    end = 'write_dump all custom end id xu yu zu modify sort id format float "%.17g"\n'
    done = run(lammps_folder / "run", text.replace("index 0", "index 20") + end, coupling=coupling)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    positions = np.loadtxt(lammps_folder / "run/end", skiprows=9)[:, 1:]
    moved = np.abs(positions - atoms.positions).max(1)
    assert (moved[:2] == 0).all()
    assert (moved[2:] > 0).all()


@pytest.mark.slow
def test_a_model_is_compiled(mhff: Here, tmp_path: Path, coupling: Coupling) -> None:
    """The default model, mini, with the precision that is asked for."""
    ase.io.write(tmp_path / "a.cif", magnesia(1, rattle=0.0))
    out = tmp_path / "run"
    command = ("lammps-input", tmp_path / "a.cif", "--head", "mat", "--dtype", "float64", "-o", out)
    output = output_of(mhff(*command))
    assert "8 atoms, types 1 Mg@materials, 2 O@materials; model " in output
    done = run(out, (out / "in.lammps").read_text(), coupling=coupling)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    expected = ase_result(ase.io.read(tmp_path / "a.cif"), "materials").energy
    assert abs(thermo(done.stdout)[0, 3] - expected) <= 1e-6
