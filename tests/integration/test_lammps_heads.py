"""Heads in LAMMPS: mixes, types, several pair styles, a lambda path, energies of every head."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.units import kB
from calculators import exact
from command_line import output_of, run_mhff
from lammps_runs import (
    BAR_PER_EV_A3,
    MEASURE,
    Coupling,
    ase_result,
    assert_same,
    read,
    record,
    run,
    start,
    turned,
)
from structures import adsorbate, magnesia
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

from mhff import MHFFCalculator

EXAMPLES = Path(__file__).parents[2] / "examples" / "lammps"
pytestmark = pytest.mark.filterwarnings("ignore:head .* was not trained on")

HEADS = ("materials", "molecules", "surfaces")
MIX = "screened=0.7*materials+0.3*surfaces"
SCREENED = {"materials": 0.7, "surfaces": 0.3}
RANKS = (1, 2)
PAIR = "pair_style mliap unified mini.mliap 0\n"
VECTORS = " ".join(f"d_mhff_{head}" for head in HEADS)
TRAJECTORY = (
    f"dump all_heads all custom {{every}} trajectory id type x y z fx fy fz {VECTORS}\n"
    "dump_modify all_heads sort id format float %.17g\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, with a file whose default head is surfaces, a mix, and few elements."""
    folder = tmp_path_factory.mktemp("heads")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    options = (
        "--head surf --mix screened=0.7*mat+0.3*surf --elements Mg,O,C --target lammps "
        "--form torchscript --dtype float64 -o mini.mliap"
    )
    output = output_of(run_mhff("compile", "mini", *options.split(), folder=folder))
    assert f"head surfaces of materials, molecules, surfaces, {MIX}" in output
    return folder


class Frame(NamedTuple):
    """An entry of a trajectory."""

    step: int
    atoms: Atoms
    forces: np.ndarray
    """`[n, 3]`, eV/A."""
    energies: np.ndarray
    """Energy of each atom at each head of `HEADS`, `[n, n_heads]`, eV."""


def frames(file: Path, like: Atoms) -> Iterator[Frame]:
    """What the commands of `TRAJECTORY` have written; `like`: elements and cell."""
    for text in file.read_text().split("ITEM: TIMESTEP\n")[1:]:
        lines = text.splitlines()
        table = np.array([line.split() for line in lines[8:]], dtype=float)
        atoms = like.copy()
        atoms.positions = table[:, 2:5]
        yield Frame(int(lines[0]), atoms, table[:, 5:8], table[:, 8:])


@cache
def calculator(head: str) -> MHFFCalculator:
    return exact("mini", head)


def energies_of(atoms: Atoms, head: str) -> np.ndarray:
    """Energies of atoms by ASE, `[n]`, eV."""
    atoms = atoms.copy()
    atoms.calc = calculator(head)
    atoms.get_potential_energy()
    return atoms.calc.results["energies"]


def assert_energies_of_heads(frame: Frame) -> None:
    for column, head in enumerate(HEADS):
        expected = energies_of(frame.atoms, head)
        assert np.abs(frame.energies[:, column] - expected).max() <= ENGINE_ENERGY


def bulk() -> Atoms:
    """The structure of `mgo.data`."""
    return ase.io.read(
        EXAMPLES / "mgo.data", format="lammps-data", units="metal", atom_style="atomic"
    )


# mixes


def test_a_mix_is_a_head_for_labels_for_ase_and_in_info(folder: Path, coupling: Coupling) -> None:
    atoms = magnesia()
    coeff = "pair_coeff * * O O O@screened O@screened Mg@screened\n"
    output = output_of(
        run(
            folder,
            start(folder, "mix", atoms) + PAIR + coeff + MEASURE + record("mix"),
            coupling=coupling,
        )
    )
    assert f"; heads {' '.join(HEADS)} (default surfaces); mixes {MIX}\n" in output
    assert_same(read(folder, "mix"), ase_result(atoms, SCREENED))  # type: ignore[arg-type]
    atoms.calc = MHFFCalculator(folder / "mini.mliap", head="screened")
    got = read(folder, "mix").energy
    assert atoms.get_potential_energy() == pytest.approx(got, abs=ENGINE_ENERGY * len(atoms))
    info = output_of(run_mhff("info", folder / "mini.mliap", "--json"))
    assert json.loads(info)["mixes"] == [{"name": "screened", "weights": SCREENED}]


def test_an_unknown_mix_is_refused_after_the_labels_were_printed(
    folder: Path, coupling: Coupling
) -> None:
    coeff = "pair_coeff * * O O O@screened O@screened Mg@screend\n"
    text = start(folder, "mix", magnesia()) + PAIR + coeff + "run 0\n"
    done = run(folder, text, coupling=coupling)
    assert done.returncode == 1
    assert f"mixes {MIX}" in done.stdout
    assert "Incorrect args for pair coefficients" in done.stdout


# types and pair styles


def on_surface(folder: Path) -> tuple[str, Atoms]:
    """CO on MgO(100), with commands that read it: types C, O, Mg, and the oxygen of CO as 4."""
    atoms = turned(adsorbate())
    text = start(folder, "types", atoms).replace("types.data", "types.data extra/atom/types 1")
    ase.io.write(
        folder / "types.data",
        atoms,
        format="lammps-data",
        specorder=["C", "O", "Mg"],
        masses=True,
        atom_style="atomic",
    )
    return text + f"set atom {len(atoms)} type 4\nmass 4 15.999\n", atoms


def with_heads(atoms: Atoms, heads: dict[str, str]) -> Atoms:
    """The structure, with a head for each element."""
    atoms = atoms.copy()
    atoms.arrays["mhff_head"] = np.array([heads[symbol] for symbol in atoms.symbols])
    return atoms


def test_types_in_any_order_may_share_an_element(folder: Path, coupling: Coupling) -> None:
    text, atoms = on_surface(folder)
    coeff = "pair_coeff * * C@molecules O@surfaces Mg@materials O@molecules\n"
    output_of(run(folder, text + PAIR + coeff + MEASURE + record("types"), coupling=coupling))
    atoms = with_heads(atoms, {"C": "molecules", "O": "surfaces", "Mg": "materials"})
    atoms.arrays["mhff_head"][-1] = "molecules"
    assert_same(read(folder, "types"), ase_result(atoms))


@pytest.mark.slow
@pytest.mark.parametrize("ranks", RANKS)
def test_two_pair_styles_with_other_heads(folder: Path, ranks: int, coupling: Coupling) -> None:
    """Slab and molecule do not feel each other; the vectors have the energies of both."""
    text, atoms = on_surface(folder)
    commands = f"""
        pair_style hybrid/overlay mliap unified mini.mliap 0 mliap unified mini.mliap 0 zero 4.5
        pair_coeff * * mliap 1 NULL O@materials Mg NULL
        pair_coeff * * mliap 2 C@molecules NULL NULL O@screened
        pair_coeff * * zero
        fix heads all property/atom {VECTORS}
        {MEASURE}
        {TRAJECTORY.format(every=1)}
        {record("two")}
    """
    output_of(run(folder, text + commands, ranks, coupling))
    got = read(folder, "two")
    (frame,) = frames(folder / "trajectory", atoms)
    slab = with_heads(atoms[:-2], {"O": "materials", "Mg": "surfaces"})
    molecule = with_heads(atoms[-2:], {"C": "molecules", "O": "screened"})
    slab.calc = exact("mini")
    molecule.calc = MHFFCalculator(folder / "mini.mliap")  # which knows the mix
    total = 0.0
    for part, ours in ((slab, slice(0, -2)), (molecule, slice(-2, None))):
        total += part.get_potential_energy()
        assert np.abs(got.forces[ours] - part.get_forces()).max() <= ENGINE_FORCE
        assert np.abs(got.energies[ours] - part.calc.results["energies"]).max() <= ENGINE_ENERGY
        assert_energies_of_heads(Frame(0, atoms[ours], frame.forces[ours], frame.energies[ours]))
    assert got.energy == pytest.approx(total, rel=0, abs=ENGINE_ENERGY * len(atoms))


# energies of every head


@pytest.mark.slow
@pytest.mark.parametrize("ranks", RANKS)
def test_energies_of_heads_do_not_depend_on_the_head_that_drives(
    folder: Path, ranks: int, coupling: Coupling
) -> None:
    """Vectors may come and go between runs; labels may change in the course of one."""
    atoms = bulk()
    commands = f"""
        units metal
        read_data mgo.data
        pair_style mliap unified mini.mliap 0
        pair_coeff * * Mg@molecules O@molecules
        run 0
        fix heads all property/atom {VECTORS} d_mhff_screened
        compute heads all property/atom {VECTORS} d_mhff_screened
        compute E all reduce sum c_heads[*]
        velocity all create 900 1
        fix move all nve
        {TRAJECTORY.format(every=2)}
        fix sums all ave/time 2 1 2 c_E[*] file sums.txt format " %.17g"
        variable difference equal c_E[3]-c_E[1]
        thermo_style custom step pe c_E[*] v_difference
        run 6 every 4 "pair_coeff * * Mg@materials O@screened"
        undump all_heads
        thermo_style one
        unfix sums
        uncompute E
        uncompute heads
        unfix heads
        run 1
    """
    output_of(run(folder, commands, ranks, coupling))
    sums = np.loadtxt(folder / "sums.txt")
    seen = list(frames(folder / "trajectory", atoms))
    assert [frame.step for frame in seen] == [0, 2, 4, 6]
    for frame, (step, *got) in zip(seen, sums, strict=True):
        assert step == frame.step
        assert_energies_of_heads(frame)
        screened = 0.7 * got[0] + 0.3 * got[2]
        expected = [*frame.energies.sum(0), screened]
        assert np.abs(np.array(got) - expected).max() <= ENGINE_ENERGY * len(atoms)
    driving = with_heads(seen[-1].atoms, {"Mg": "materials", "O": "screened"})
    driving.calc = MHFFCalculator(folder / "mini.mliap")
    assert np.abs(driving.get_forces() - seen[-1].forces).max() <= ENGINE_FORCE


MEASURED = '"$(v_lambda:%.17g) $(pe:%.17g) $(c_virial:%.17g)" file measured.txt screen no'


def run_example(
    folder: Path,
    name: str,
    steps: int,
    every: int,
    ranks: int = 1,
    coupling: Coupling = Coupling.PLAIN,
) -> None:
    """Run an example, short and without its bath, so that it also writes a trajectory."""
    here = folder / name
    text = (here / f"in.{name}").read_text()
    more = TRAJECTORY.format(every=every).replace(VECTORS, "d_mhff_materials d_mhff_surfaces")
    if name == "lambda-path":
        more += f"compute virial all pressure NULL virial\nfix out all print {every} {MEASURED}\n"
    text = text.replace("fix           bath", "#").replace(
        "run           ", f"{more}run           "
    )
    output_of(run(here, f"variable steps index {steps}\n{text}", ranks, coupling))


@pytest.mark.slow
@pytest.mark.parametrize("ranks", RANKS)
def test_lambda_path(folder: Path, ranks: int, coupling: Coupling) -> None:
    """Energies, forces, pressure and dE/dlambda on the way from one head to another."""
    steps = 20
    atoms = bulk()
    run_example(folder, "lambda-path", steps, 5, ranks, coupling)
    here = folder / "lambda-path"
    measured = dict(zip(range(0, steps + 1, 5), np.loadtxt(here / "measured.txt"), strict=True))
    slopes = {round(steps * x): slope for x, slope in np.loadtxt(here / "slopes.txt")}
    assert sorted(slopes) == [0, 10, 20]
    for frame in frames(here / "trajectory", atoms):
        where, energy, pressure = measured[frame.step]
        assert where == pytest.approx(frame.step / steps)
        mix = {"materials": 1 - where, "surfaces": where}
        frame.atoms.calc = exact("mini", mix)
        expected = frame.atoms.get_potential_energy()
        assert energy == pytest.approx(expected, rel=0, abs=ENGINE_ENERGY * len(atoms))
        assert np.abs(frame.atoms.get_forces() - frame.forces).max() <= ENGINE_FORCE
        expected = -BAR_PER_EV_A3 * frame.atoms.get_stress()[:3].mean()
        assert pressure == pytest.approx(expected, rel=1e-6, abs=0.01)
        if frame.step in slopes:
            heads = frame.atoms.calc.results["head_energies"]
            slope = heads["surfaces"] - heads["materials"]
            assert slopes[frame.step] == pytest.approx(slope, abs=ENGINE_ENERGY * len(atoms))


def test_reweighting(folder: Path, coupling: Coupling) -> None:
    steps = 40
    atoms = bulk()
    run_example(folder, "reweighting", steps, 10, coupling=coupling)
    here = folder / "reweighting"
    samples = np.loadtxt(here / "samples.txt")
    assert samples[:, 0].tolist() == list(range(0, steps + 1, 10))
    for frame, sample in zip(frames(here / "trajectory", atoms), samples, strict=True):
        for column, head in ((1, "materials"), (2, "surfaces")):
            expected = energies_of(frame.atoms, head).sum()
            assert sample[column] == pytest.approx(expected, abs=ENGINE_ENERGY * len(atoms))
    done = subprocess.run(
        [sys.executable, "reweight.py"], cwd=here, capture_output=True, text=True, check=True
    )
    factors = np.exp(-(samples[:, 2] - samples[:, 1]).astype(np.longdouble) / (kB * 300))
    printed = [float(line.split()[-2]) for line in done.stdout.splitlines()[:3]]
    assert printed == pytest.approx(
        [
            samples[:, 3].mean(),
            float((factors * samples[:, 3]).sum() / factors.sum()),
            float(-kB * 300 * np.log(factors.mean())),
        ],
        abs=2e-6,
    )
