"""Steps of LAMMPS on one and two MPI ranks, in both couplings, against one rank with two threads.

    .venv/bin/python benchmarks/ranks.py [FOLDER]

writes its results and tables into FOLDER, or among the committed ones. The bundled model in
float32, bulk MgO, constant energy. Each run starts LAMMPS anew and reports the time of its own
loop; all ways to run take turns. Needs `make lammps-kokkos` and a quiet machine with two cores.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import ase.io
from result_tables import RESULTS, write_tables

from mhff.modelfile import load
from mhff.options import CompileOptions, Precision
from mhff_bench.machine import machine
from mhff_bench.systems import magnesia
from mhff_deploy.compiling.cache import compiled
from mhff_lammps.filekind import wrap

BIN = Path(sys.prefix) / "bin"
KOKKOS = ("-k", "on", "-sf", "kk", "-pk", "kokkos", "newton", "on", "neigh", "half")
N_STEPS = {64: 400, 1000: 60, 4096: 20}
"""Steps of a run, by number of atoms."""
ROUNDS = 3
LOOP = re.compile(r"Loop time of (\S+) on")
INPUT = """
units metal
atom_style atomic
atom_modify map yes
read_data mgo.data
pair_style mliap unified mini.mliap 0
pair_coeff * * Mg@materials O@materials
velocity all create 300 1
timestep 0.0005
neigh_modify every 1 delay 0 check yes
fix 1 all nve
thermo 1000000
run 5
run {steps}
"""


class Way(NamedTuple):
    """A way to run LAMMPS on two cores."""

    name: str
    program: str
    ranks: int
    threads: int
    arguments: tuple[str, ...] = ()

    def seconds(self, folder: Path, n_steps: int) -> float:
        """Time of a step in LAMMPS' loop."""
        start = [str(BIN / "mpiexec"), "-n", str(self.ranks)] if self.ranks > 1 else []
        command = [*start, str(BIN / self.program), *self.arguments, "-in", "in", "-log", "none"]
        environment = {
            "PATH": "/usr/bin:/bin",
            "OMP_NUM_THREADS": str(self.threads),
            "OMP_PROC_BIND": "false",
        }
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        return float(LOOP.findall(done.stdout)[-1]) / n_steps


WAYS = (
    Way("1 rank", "lmp", 1, 1),
    Way("1 rank, 2 threads", "lmp", 1, 2),
    Way("2 ranks", "lmp", 2, 1),
    Way("1 rank, KOKKOS", "lmp-kokkos", 1, 1, KOKKOS),
    Way("2 ranks, KOKKOS", "lmp-kokkos", 2, 1, KOKKOS),
)


def measure(n_atoms: int, model: bytes) -> dict[str, list[float]]:
    """Seconds of a step in each round, by way."""
    found: dict[str, list[float]] = {way.name: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mini.mliap").write_bytes(model)
        (folder / "in").write_text(INPUT.format(steps=N_STEPS[n_atoms]))
        ase.io.write(
            folder / "mgo.data",
            magnesia(n_atoms // 8),
            format="lammps-data",
            specorder=["Mg", "O"],
            masses=True,
            atom_style="atomic",
        )
        for turn in range(ROUNDS):
            for way in WAYS:
                found[way.name].append(way.seconds(folder, N_STEPS[n_atoms]))
                print(f"{n_atoms} atoms, round {turn + 1}, {way.name}: {found[way.name][-1]}")
    return found


def main() -> None:
    """Measure all sizes and write the results."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    about = machine()
    options = CompileOptions(precision=Precision.FLOAT32)
    model = wrap(compiled(load("mini"), options).read_bytes())
    found = {n_atoms: measure(n_atoms, model) for n_atoms in N_STEPS}
    (folder / "ranks.json").write_text(json.dumps({"machine": about, "seconds": found}, indent=1))
    write_tables(folder)


if __name__ == "__main__":
    main()
