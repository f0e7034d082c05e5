"""What LAMMPS' users do next: after each of these commands, the numbers are those of ASE."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from command_line import output_of
from lammps_runs import (
    MEASURE,
    PAIR,
    Coupling,
    ase_result,
    assert_same,
    folder_with_model,
    labels,
    read,
    read_atoms,
    record,
    run,
    start,
    turned,
)
from structures import magnesia, slab, triclinic

pytestmark = pytest.mark.filterwarnings("ignore:head .* was not trained on")

HEAD = "surfaces"
MODEL = f"{PAIR}pair_coeff * * {labels(HEAD)}\n{MEASURE}"
HOT = "velocity all create 900 1 loop geom\n"
REST = "velocity all set 0 0 0\n"
NVE = "fix move all nve\n"

BULK = {
    "nvt": "fix move all nvt temp 900 900 0.1\nrun 10\nunfix move",
    "npt": "fix move all npt temp 900 900 0.1 aniso 0 0 1\nrun 10\nunfix move",
    "cg": "min_style cg\nminimize 0 1e-3 5 20",
    "fire": "min_style fire\nminimize 0 1e-3 10 20",
    "box/relax": "min_style cg\nfix box all box/relax aniso 0\nminimize 0 1e-3 5 20\nunfix box",
    "run every": (
        f'{NVE}run 6 every 2 "balance 1.0 shift x 5 1.0" '
        '"displace_atoms all random 0.01 0.01 0.01 1"\nunfix move'
    ),
    "respa": f"run_style respa 2 2 pair 2\n{NVE}run 5\nunfix move\nrun_style verlet",
    "delete": f"delete_atoms random count 6 yes all NULL 1 compress no\n{NVE}run 5\nunfix move",
    "create": f"create_atoms 4 single 1.0 1.1 1.2\nreset_atoms id\n{NVE}run 2\nunfix move",
    "change of type": "set group all type/ratio 5 0.5 1",
    "replicate": f"replicate 1 1 2\n{NVE}run 2\nunfix move",
    "tiles": (
        f"comm_style tiled\nfix level all balance 2 1.0 rcb\n{NVE}run 6\nunfix move\nunfix level"
    ),
}
"""Commands of a periodic crystal, one after the other."""
SKEWED = {
    "flip": (
        "fix pull all deform 1 xy erate 20 yz erate -10 flip yes remap x\n"
        f"{NVE}timestep 0.002\nrun 25\ntimestep 0.001\nunfix move\nunfix pull"
    ),
    "tri": "fix move all npt temp 900 900 0.1 tri 0 0 1\nrun 10\nunfix move",
    "box/relax tri": "fix box all box/relax tri 0\nminimize 0 1e-3 5 20\nunfix box",
    "ortho": "change_box all xy final 0 remap\nchange_box all triclinic",
}
"""Commands of a triclinic crystal."""
SURFACE = {
    "walls": (
        "fix walls all wall/lj93 zlo EDGE 0.1 1.0 2.5 zhi EDGE 0.1 1.0 2.5\n"
        f"fix mirror all wall/reflect zlo EDGE zhi EDGE\n{NVE}run 10\n"
        "unfix move\nunfix walls\nunfix mirror"
    ),
    "deposit": (
        "region above block 1 8 1 8 12.0 13.5 units box\n"
        "fix more all deposit 2 4 5 1 region above near 1.5 attempt 100 vz -5 -5 units box\n"
        f"{NVE}run 12\nunfix move\nunfix more"
    ),
    "evaporate": (
        "region inside block 0.1 8.8 0.1 8.8 0.1 14\n"
        f"fix less all evaporate 4 1 inside 1\n{NVE}run 6\nunfix move\nunfix less"
    ),
}
"""Commands of a molecule on a surface."""
SEQUENCES = {
    "bulk": (magnesia, BULK),
    "skewed": (lambda: turned(triclinic()).repeat(2), SKEWED),
    "surface": (lambda: turned(slab()).repeat((3, 3, 1)), SURFACE),
}
CASES = [(sequence, name) for sequence, (_, steps) in SEQUENCES.items() for name in steps]
N_RANKS = pytest.mark.parametrize("n_ranks", [1, 2])


def file_name(name: str) -> str:
    return name.replace(" ", "-").replace("/", "-")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, Coupling], Path]:
    """The folder in which all commands were run, in one process per coupling and ranks."""

    @cache
    def done(n_ranks: int, coupling: Coupling) -> Path:
        folder = folder_with_model(tmp_path_factory.mktemp("usage"))
        text = ""
        for sequence, (make, steps) in SEQUENCES.items():
            text += f"clear\n{start(folder, sequence, make())}\n{MODEL}timestep 0.001\n"
            for name, commands in steps.items():
                text += f"{HOT}{commands}\n{REST}{record(file_name(name))}"
        output_of(run(folder, text, n_ranks, coupling))
        return folder

    return done


@pytest.mark.slow
@N_RANKS
@pytest.mark.parametrize(("sequence", "name"), CASES)
def test_numbers_after(
    runs: Callable[[int, Coupling], Path],
    sequence: str,
    name: str,
    n_ranks: int,
    coupling: Coupling,
) -> None:
    folder = runs(n_ranks, coupling)
    got = read(folder, file_name(name))
    atoms = read_atoms(folder, file_name(name))
    atoms.pbc = SEQUENCES[sequence][0]().pbc
    assert_same(got, ase_result(atoms, HEAD))
    assert got.energies.sum() == pytest.approx(got.energy, rel=1e-12)
    total = -got.atomic_stress.sum(0) / atoms.get_volume()
    np.testing.assert_allclose(total, got.pressure, rtol=1e-9, atol=1e-4)


N_ATOMS = {"delete": 58, "create": 59, "replicate": 118, "deposit": 56, "evaporate": 54}
"""Number of atoms after the commands that change it."""


@pytest.mark.slow
@N_RANKS
def test_commands_do_what_they_say(
    runs: Callable[[int, Coupling], Path], n_ranks: int, coupling: Coupling
) -> None:
    folder = runs(n_ranks, coupling)
    assert {name: len(read_atoms(folder, name)) for name in N_ATOMS} == N_ATOMS
    (length, _, _), (tilt, _, _), _ = read_atoms(folder, "flip").cell
    assert abs(tilt) <= length / 2  # a strain of 1.0 without a flip leads beyond
    volumes = [read_atoms(folder, name).get_volume() for name in ("nvt", "npt", "box-relax")]
    assert len(set(volumes)) == len(volumes)
