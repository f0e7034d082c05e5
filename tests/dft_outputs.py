"""Outputs of VASP, Quantum ESPRESSO and CP2K with given labels, as far as ASE and we read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import Bohr, GPa, Hartree, create_units

OLD = create_units("2006")
"""The constants with which ASE reads Quantum ESPRESSO."""
SMEARING = 0.25
"""Difference of the energy extrapolated to zero smearing and the free energy, eV."""


def _rows(values: np.ndarray) -> str:
    return "".join(f"<v>{' '.join(f'{x:.16g}' for x in row)}</v>" for row in np.atleast_2d(values))


def _structure(atoms: Atoms, name: str = "") -> str:
    label = f' name="{name}"' if name else ""
    scaled = _rows(atoms.get_scaled_positions(wrap=False))
    return (
        f'<structure{label}><crystal><varray name="basis">{_rows(atoms.cell[:])}</varray></crystal>'
        f'<varray name="positions">{scaled}</varray></structure>'
    )


def write_vasprun(path: Path, frames: Sequence[Atoms]) -> None:
    """Ionic steps; labels under REF_energy (the free energy), REF_forces and REF_stress."""
    symbols = "".join(
        f"<rc><c>{symbol}</c><c>1</c></rc>" for symbol in frames[0].get_chemical_symbols()
    )
    steps = []
    for frame in frames:
        energy = frame.info["REF_energy"]
        content = _structure(frame)
        content += f'<varray name="forces">{_rows(frame.arrays["REF_forces"])}</varray>'
        if "REF_stress" in frame.info:
            stress = voigt_6_to_full_3x3_stress(frame.info["REF_stress"]) / (-0.1 * GPa)
            content += f'<varray name="stress">{_rows(stress)}</varray>'
        energies = (
            f'<energy><i name="e_fr_energy">{energy:.12f}</i>'
            f'<i name="e_0_energy">{energy + SMEARING:.12f}</i></energy>'
        )
        steps.append(f"<calculation><scstep>{energies}</scstep>{content}{energies}</calculation>")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<?xml version="1.0"?><modeling><kpoints><varray name="kpointlist"><v>0 0 0</v></varray>'
        '<varray name="weights"><v>1</v></varray></kpoints><atominfo><array name="atoms"><set>'
        f"{symbols}</set></array></atominfo>{_structure(frames[0], 'initialpos')}"
        f"{''.join(steps)}</modeling>"
    )


def write_espresso(path: Path, frame: Atoms) -> None:
    """One self-consistent calculation of pw.x."""
    rydberg = OLD["Rydberg"]
    bohr = OLD["Bohr"]
    alat = 10.0  # Bohr
    cell = frame.cell[:] / (alat * bohr)
    places = frame.positions / (alat * bohr)
    forces = frame.arrays["REF_forces"] / (rydberg / bohr)
    stress = voigt_6_to_full_3x3_stress(frame.info["REF_stress"]) / (-rydberg / bohr**3)
    symbols = frame.get_chemical_symbols()
    axes = [f"     a({i + 1}) = ( {_numbers(row)} )" for i, row in enumerate(cell)]
    atoms = [
        f"  {i + 1}  {symbols[i]}  tau( {i + 1}) = ( {_numbers(row)} )"
        for i, row in enumerate(places)
    ]
    pushed = [
        f"     atom {i + 1:4d} type  1   force = {_numbers(row)}" for i, row in enumerate(forces)
    ]
    lines = [
        "     Program PWSCF v.7.2 starts",
        f"     number of atoms/cell      = {len(frame)}",
        "     number of atomic types    = 2",
        f"     celldm(1)= {alat:.8f}  celldm(2)=   0.0",
        "     crystal axes: (cart. coord. in units of alat)",
        *axes,
        "     site n.     atom                  positions (alat units)",
        *atoms,
        f"!    total energy              = {frame.info['REF_energy'] / rydberg:.12f} Ry",
        "     Forces acting on atoms (cartesian axes, Ry/au):",
        "",
        *pushed,
        "     total   stress  (Ry/bohr**3)                   (kbar)     P=  0.0",
        *(f"  {_numbers(row)}  0.0 0.0 0.0" for row in stress),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_cp2k(folder: Path, frames: Sequence[Atoms], name: str = "run") -> None:
    """A trajectory: positions, forces and cells."""
    folder.mkdir(parents=True, exist_ok=True)
    positions, forces, cells = [], [], ["# Step Time [fs] Ax [Angstrom] ... Volume"]
    for step, frame in enumerate(frames):
        energy = frame.info["REF_energy"] / Hartree
        comment = f" i = {step:8d}, time = {step:12.3f}, E = {energy:20.12f}"
        pushed = frame.arrays["REF_forces"] / (Hartree / Bohr)
        for lines, values in ((positions, frame.positions), (forces, pushed)):
            lines += [f"{len(frame)}", comment]
            lines += [
                f"{symbol} {_numbers(row)}"
                for symbol, row in zip(frame.get_chemical_symbols(), values, strict=True)
            ]
        cells.append(f"{step} {step}.0 {_numbers(frame.cell[:].ravel())} {frame.get_volume():.6f}")
    for suffix, lines in (("-pos-1.xyz", positions), ("-frc-1.xyz", forces), ("-1.cell", cells)):
        (folder / f"{name}{suffix}").write_text("\n".join(lines) + "\n")


def _numbers(values: np.ndarray) -> str:
    return "  ".join(f"{value:.14f}" for value in values)
