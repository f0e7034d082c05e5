"""Runs that go on elsewhere: restarts, reruns, other units, other pair styles, other programs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from command_line import output_of
from lammps_runs import (
    BAR_PER_EV_A3,
    MEASURE,
    PAIR,
    Coupling,
    ase_result,
    folder_with_model,
    labels,
    read,
    read_atoms,
    record,
    run,
    start,
    turned,
)
from structures import ELEMENTS, magnesia, slab
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

pytestmark = pytest.mark.filterwarnings("ignore:head .* was not trained on")

HEAD = "surfaces"
MODEL = f"{PAIR}pair_coeff * * {labels(HEAD)}\n"
HOT = "velocity all create 900 1 loop geom\n"
REST = "velocity all set 0 0 0\n"
BATH = "fix bath all npt temp 900 900 0.1 aniso 0 0 1"
N_RANKS = pytest.mark.parametrize("n_ranks", [1, 2])
PHASE = "write_dump all custom {name} id x y z vx vy vz modify sort id format float %.17g\n"
CONTINUED = 1e-9
"""Largest difference of positions and velocities after a restart, A and A/ps."""

MOVED = 0.01
"""Atoms that have moved have moved by more than this, A."""


def phase(folder: Path, name: str) -> np.ndarray:
    """Positions and velocities, `[n, 6]`, which the command PHASE has written."""
    return np.loadtxt(folder / name, skiprows=9)[:, 1:]


RESTARTED = f"""
{BATH}
run 10
write_restart half
run 10
{PHASE.format(name="straight")}
clear
read_restart half
{MODEL}
{BATH}
run 10
{PHASE.format(name="continued")}
unfix bath
"""
PRINT = 'fix out all print 2 "$(pe:%.17g)" file {name} screen no\n'
RERUN = f"""
fix move all nve
{PRINT.format(name="run.txt")}
dump frames all custom 2 frames id type x y z
dump_modify frames format float %.17g
thermo 1
run 10
undump frames
unfix out
unfix move
{PRINT.format(name="rerun.txt")}
rerun frames dump x y z
unfix out
"""
STRAIN = 1e-4
"""For differences of energies."""
AXES = ("x", "y", "z", "xy", "xz", "yz")
SLOWEST = {"xy": "y", "xz": "z", "yz": "z"}
"""The length by which a tilt is divided to give a strain."""
SIDES = {"minus": -STRAIN, "plus": STRAIN}


def strained() -> str:
    """Commands that strain the box in each direction, and measure its energy before and after."""
    text = f"change_box all triclinic\n{REST}{record('middle')}"
    for axis in AXES:
        for side, strain in SIDES.items():
            if axis in SLOWEST:
                there = f"delta $({strain}*l{SLOWEST[axis]})"
                back = f"delta $({-strain}*l{SLOWEST[axis]})"
            else:
                there = f"scale {1 + strain:.17g}"
                back = f"scale {1 / (1 + strain):.17g}"
            text += f"change_box all {axis} {there} remap\n{record(f'{axis}-{side}')}"
            text += f"change_box all {axis} {back} remap\n"
    return text


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, Coupling], Path]:
    """The folder in which a crystal was restarted, run again and strained, in one process."""

    @cache
    def done(n_ranks: int, coupling: Coupling) -> Path:
        folder = folder_with_model(tmp_path_factory.mktemp("continued"))
        text = start(folder, "bulk", magnesia()) + MODEL + HOT + RESTARTED
        output_of(run(folder, text + RERUN + MEASURE + strained(), n_ranks, coupling))
        return folder

    return done


@pytest.mark.slow
@N_RANKS
def test_a_restart_continues_the_run(
    runs: Callable[[int, Coupling], Path], n_ranks: int, coupling: Coupling
) -> None:
    """With a thermostat and a barostat, whose state is in the restart file, too."""
    folder = runs(n_ranks, coupling)
    straight = phase(folder, "straight")
    assert np.abs(straight[:, :3] - magnesia().positions).max() > MOVED
    assert np.abs(phase(folder, "continued") - straight).max() <= CONTINUED


@pytest.mark.slow
@N_RANKS
def test_rerun_gives_the_energies_of_the_run(
    runs: Callable[[int, Coupling], Path], n_ranks: int, coupling: Coupling
) -> None:
    folder = runs(n_ranks, coupling)
    first = np.loadtxt(folder / "run.txt")
    assert len(set(first)) == 6
    again = np.loadtxt(folder / "rerun.txt")
    np.testing.assert_allclose(again, first, rtol=0, atol=ENGINE_ENERGY * len(magnesia()))


@pytest.mark.slow
@N_RANKS
@pytest.mark.parametrize("axis", AXES)
def test_pressure_is_the_derivative_of_the_energy(
    runs: Callable[[int, Coupling], Path], axis: str, n_ranks: int, coupling: Coupling
) -> None:
    folder = runs(n_ranks, coupling)
    change = read(folder, f"{axis}-plus").energy - read(folder, f"{axis}-minus").energy
    volume = read_atoms(folder, "middle").get_volume()
    expected = -change / (2 * STRAIN * volume) * BAR_PER_EV_A3
    got = read(folder, "middle").pressure
    assert got[AXES.index(axis)] == pytest.approx(expected, abs=1e-6 * np.abs(got).max())


def test_units_real_are_metal_converted(lammps_folder: Path, coupling: Coupling) -> None:
    """Energies, forces, pressures, and where atoms go that start from rest."""
    folder = lammps_folder
    atoms = magnesia(rattle=0.1)
    text = ""
    for units, step in (("metal", 0.001), ("real", 1.0)):
        text += f"""
            clear
            {start(folder, "bulk", atoms).replace("metal", units)}
            {MODEL}
            {MEASURE}
            {record(units)}
            timestep {step}
            fix move all nve
            run 20
            {PHASE.format(name=f"{units}.end")}
        """
    output_of(run(folder, text, 1, coupling))
    metal = read(folder, "metal")
    real = read(folder, "real")
    kcal = 23.060549  # per eV, in LAMMPS' own constants to 6 digits
    assert real.energy / metal.energy == pytest.approx(kcal, rel=1e-5)
    factor = real.energy / metal.energy
    np.testing.assert_allclose(real.forces, metal.forces * factor, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(real.energies, metal.energies * factor, rtol=1e-12)
    bar_per_atm = 1.01325
    np.testing.assert_allclose(real.pressure * bar_per_atm, metal.pressure, rtol=1e-5, atol=0.1)
    moved = phase(folder, "metal.end")
    difference = phase(folder, "real.end")[:, :3] - moved[:, :3]
    assert np.abs(moved[:, :3] - atoms.positions).max() > MOVED
    assert np.abs(difference).max() <= CONTINUED


CHARGES = {"H": 1, "C": 6, "N": 7, "O": 8, "Mg": 12}
OURS = labels(HEAD).replace(f"N@{HEAD}", "NULL")


def zbl(style: str) -> str:
    """The coefficients of all pairs of types."""
    numbered = list(enumerate(CHARGES.values(), start=1))
    pairs = [(i, j) for i in numbered for j in numbered if i <= j]
    return "\n".join(f"pair_coeff {i} {j} {style} {z} {other}" for (i, z), (j, other) in pairs)


PARTS = {
    "model": f"hybrid/overlay mliap unified mini.mliap 0 zero 4.5\npair_coeff * * mliap {OURS}\n"
    "pair_coeff * * zero",
    "dispersion": f"dispersion/d3 bj rpbe 20.0 10.0\npair_coeff * * {' '.join(ELEMENTS)}",
    "repulsion": f"zbl 1.5 2.5\n{zbl('')}",
    "wall": "zero 4.5\npair_coeff * *\nfix wall all wall/lj93 zlo EDGE 1.0 4.0 9.0\n"
    "fix_modify wall energy yes",
    "all": "hybrid/overlay mliap unified mini.mliap 0 dispersion/d3 bj rpbe 20.0 10.0 zbl 1.5 2.5\n"
    f"pair_coeff * * mliap {OURS}\npair_coeff * * dispersion/d3 {' '.join(ELEMENTS)}\n"
    f"{zbl('zbl')}",
}
"""Pair styles and a fix, alone, and then all together; the model does not act on nitrogen."""
MIN_PART = 1e-3
"""Largest force of each part is larger than this, eV/A."""


@pytest.mark.slow
@N_RANKS
def test_other_interactions_add_up(lammps_folder: Path, n_ranks: int, coupling: Coupling) -> None:
    """Dispersion, whose ghosts reach beyond the model's, ZBL, a wall, and a `NULL` type."""
    folder = lammps_folder
    atoms = turned(slab()).repeat((2, 2, 1))
    atoms += Atoms("N2", positions=[[1.0, 2.0, 11.0], [1.0, 3.1, 11.2]])
    text = start(folder, "a", atoms) + MEASURE + "neigh_modify one 10000 page 100000\n"
    for name, part in PARTS.items():
        text += f"pair_style none\npair_style {part}\n{record(name)}"
    output_of(run(folder, text, n_ranks, coupling))
    parts = [read(folder, name) for name in PARTS]
    *alone, together = parts
    assert all(np.abs(part.forces).max() > MIN_PART for part in alone)
    energy = sum(part.energy for part in alone)
    forces = sum(part.forces for part in alone)
    assert together.energy == pytest.approx(energy, rel=0, abs=ENGINE_ENERGY * len(atoms))
    assert np.abs(together.forces - forces).max() <= ENGINE_FORCE
    ours = slice(0, -2)
    expected = ase_result(atoms[ours], HEAD)
    assert np.abs(alone[0].forces[ours] - expected.forces).max() <= ENGINE_FORCE
    assert not alone[0].forces[-2:].any()
