"""Heads without dispersion get it from LAMMPS; heads that contain it are warned about."""

from __future__ import annotations

import shutil
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from lammps_runs import (
    MEASURE,
    PRESSURE_TOLERANCE,
    Coupling,
    labels,
    read,
    record,
    run,
    start,
    turned,
)
from structures import ELEMENTS, tiny_cell, triclinic
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/lammps"
DOCUMENTED = "  pair_style    hybrid/overlay mliap unified mini.mliap 0 dispersion/d3"
D3 = "dispersion/d3 bj {functional} 12.0 8.0"
MODEL = """
pair_style mliap unified mini.mliap 0
pair_coeff * * {labels}
"""
ALONE = """
pair_style none
pair_style {d3}
pair_coeff * * {elements}
"""
BOTH = """
pair_style none
pair_style hybrid/overlay mliap unified mini.mliap 0 {d3}
pair_coeff * * mliap {labels}
pair_coeff * * dispersion/d3 {elements}
"""
WARNING = "mhff: warning: pair_style dispersion/d3 adds dispersion to head molecules,"
NEGLIGIBLE = 1e-4
"""eV; the dispersion energies here are tenths of an eV."""


def filled(pair: str, head: str, functional: str) -> str:
    """Commands of a pair style with one head for all types."""
    d3 = D3.format(functional=functional)
    return pair.format(d3=d3, labels=labels(head), elements=" ".join(ELEMENTS))


@pytest.mark.parametrize(("head", "functional"), [("surfaces", "rpbe"), ("molecules", "pbe")])
def test_the_sum_of_both(
    lammps_folder: Path, head: str, functional: str, coupling: Coupling
) -> None:
    atoms = turned(triclinic())
    text = start(lammps_folder, "a", atoms) + MEASURE
    for name, pair in (("model", MODEL), ("d3", ALONE), ("both", BOTH)):
        text += filled(pair, head, functional) + record(name)
    done = run(lammps_folder, text, coupling=coupling)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout.count(WARNING) == (head == "molecules")
    model, d3, both = (read(lammps_folder, name) for name in ("model", "d3", "both"))
    assert d3.energy < -NEGLIGIBLE
    assert abs(both.energy - model.energy - d3.energy) <= ENGINE_ENERGY * len(atoms)
    assert np.abs(both.forces - model.forces - d3.forces).max() <= ENGINE_FORCE
    relative, absolute = PRESSURE_TOLERANCE
    tolerance = max(absolute, relative * np.abs(both.pressure).max())
    assert np.abs(both.pressure - model.pressure - d3.pressure).max() <= tolerance


def test_a_warning_comes_once_and_when_heads_change(
    lammps_folder: Path, coupling: Coupling
) -> None:
    pair = filled(BOTH, "materials", "pbe")
    again = f"pair_coeff * * mliap {labels('molecules')}\nrun 0\nrun 2\n"
    text = start(lammps_folder, "a", turned(tiny_cell())) + pair + "fix 1 all nve\nrun 0\n"
    done = run(lammps_folder, text + 'print "now molecules"\n' + again, coupling=coupling)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    before, after = done.stdout.split("now molecules\n")
    assert WARNING not in before
    assert after.count(WARNING) == 1


def test_other_parts_of_a_hybrid_style_are_no_dispersion(
    lammps_folder: Path, coupling: Coupling
) -> None:
    pair = f"""
pair_style hybrid/overlay zero 9.0 mliap unified mini.mliap 0 lj/cut 6.0
pair_coeff * * mliap {labels("molecules")}
pair_coeff * * zero
pair_coeff * * lj/cut 0.0 1.0
"""
    done = run(
        lammps_folder,
        start(lammps_folder, "a", turned(tiny_cell())) + pair + "run 0\n",
        coupling=coupling,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert WARNING not in done.stdout
    assert "ERROR" not in done.stdout


def test_the_documented_lines(lammps_folder: Path, coupling: Coupling) -> None:
    lines = (ROOT / "docs" / "lammps.md").read_text().splitlines()
    first = next(index for index, line in enumerate(lines) if DOCUMENTED in line)
    block = list(takewhile(str.strip, lines[first:]))
    assert len(block) == 4
    shutil.copy(EXAMPLES / "mgo.data", lammps_folder)
    setup = "units metal\natom_style atomic\nread_data mgo.data\n"
    done = run(lammps_folder, setup + "\n".join(block) + "\nrun 0\n", coupling=coupling)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "mhff: warning" not in done.stdout
