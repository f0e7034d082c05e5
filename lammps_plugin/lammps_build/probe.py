"""Check a LAMMPS by use: load a tiny unified model in `lmp` and in the environment's Python."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .environment import Environment

# A model whose energy is the number of pairs; it prints what the installation must get right.
MODEL = """
import sys
import lammps.mliap
import mpi4py
import numpy
from lammps.mliap.mliap_unified_abc import MLIAPUnified

mpi4py.rc.initialize = False
from mpi4py import MPI


class Model(MLIAPUnified):
    def __init__(self):
        super().__init__(element_types=["Ar"], ndescriptors=1, nparams=1, rcutfac=1.0)

    def compute_forces(self, data):
        data.energy = float(data.npairs)
        same_mpi = MPI.Is_initialized() and not MPI.Is_finalized()
        n_ranks = MPI.COMM_WORLD.Get_size() if same_mpi else "another-MPI"
        print("probe", sys.prefix, n_ranks, flush=True)

    def compute_descriptors(self, data):
        pass

    def compute_gradients(self, data):
        pass


if __name__ == "__main__":
    options = ["-log", "none", "-var", "model", "EXISTS", *sys.argv[1:]]
    instance = lammps.lammps(cmdargs=options)
    if instance.extract_setting("kokkos_active"):
        lammps.mliap.activate_mliappy_kokkos(instance)
        lammps.mliap.load_unified_kokkos(Model())
    else:
        lammps.mliap.activate_mliappy(instance)
        lammps.mliap.load_unified(Model())
    instance.file("in.probe")
"""

PICKLE = b"cprobe_model\nModel\n)R."  # Model() of the module probe_model

INPUT = """
atom_modify map yes
region box block -3 3 -3 3 -3 3
create_box 1 box
create_atoms 1 single 0 0 0
create_atoms 1 single 1 0 0
mass 1 1.0
pair_style mliap unified ${model} 0
pair_coeff * * Ar
run 0
print "energy $(pe*atoms)"
"""


KOKKOS_ARGUMENTS = ["-k", "on", "-sf", "kk", "-pk", "kokkos", "newton", "on", "neigh", "half"]


@dataclass(frozen=True)
class Installation:
    """A LAMMPS that was linked into an environment, or into a folder to try it."""

    environment: Environment
    launcher: Path
    site: Path  # has the Python package
    kokkos: bool

    def commands(self, ranks: int) -> Iterator[tuple[list[str | Path], int]]:
        """Commands that run the tiny model, and on how many ranks."""
        start: list[str | Path] = []
        if ranks > 1:
            start = [self.environment.bin / "mpiexec", "-n", str(ranks)]
        script = ["-in", "in.probe", "-log", "none", "-var", "model", "model.pkl"]
        for arguments in ([], KOKKOS_ARGUMENTS) if self.kokkos else ([],):
            yield [*start, self.launcher, *script, *arguments], ranks
            yield [self.environment.python, "probe_model.py", *arguments], 1


def probe(installation: Installation, ranks: int) -> str | None:
    """Run the tiny model with the launcher and with the Python package, in each coupling.

    Returns None, or a sentence that says what is wrong.
    """
    environment = installation.environment
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "probe_model.py").write_text(MODEL)
        (folder / "model.pkl").write_bytes(PICKLE)
        (folder / "in.probe").write_text(INPUT)
        elsewhere = [] if installation.site == environment.site else [str(installation.site)]
        path = os.pathsep.join([name, *elsewhere])
        for command, size in installation.commands(ranks):
            if reason := run_probe(command, folder, path, f"probe {environment.prefix} {size}"):
                return f"{reason} (from `{' '.join(map(str, command))}`)"
    return None


def run_probe(command: list[str | Path], folder: Path, path: str, expected: str) -> str | None:
    """Run one probe; return None, or a sentence that says what is wrong with its output."""
    environ = os.environ | {"PYTHONPATH": path}  # otherwise as in the user's own runs
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environ,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        return "no answer within 120 s"
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode == 0 and expected in lines and "energy 2" in lines:
        return None
    seen = [line for line in lines if line.startswith(("probe", "energy"))]
    wrong = (
        [line for line in lines if "Error" in line or "ERROR" in line]
        or seen
        or lines
        or ["nothing"]
    )
    return f'expected "{expected}" and "energy 2", got "{wrong[0]}"'
