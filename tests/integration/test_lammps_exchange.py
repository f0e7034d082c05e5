"""The ghost exchange between real MPI ranks: rows, adjoint, empty ranks, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from lammps_runs import run_python

SCRIPT = """
import numpy as np
import torch
from mpi4py import MPI

from mhff.ops.ghosts import exchange_ghosts, exchange_ghosts_adjoint, exchange_plan
from mhff_lammps.exchange import RankExchange
from mhff_lammps.ranks import Ranks

comm = MPI.COMM_WORLD
N_ATOMS = 23
owner = np.random.default_rng(1).integers(0, comm.size, N_ATOMS)
owner[owner == EMPTY] = 0
order = np.random.default_rng(2).permutation(N_ATOMS)
tags = 1 + 7 * order[owner[order] == comm.rank]  # IDs with gaps, in no order
others = 1 + 7 * np.flatnonzero(owner != comm.rank)
wanted = np.sort(np.random.default_rng(comm.rank).permutation(others)[: len(others) // 2])
if comm.rank == EMPTY or comm.size == 1:
    wanted = wanted[:0]
exchange = RankExchange(Ranks(comm), tags, wanted)
plan = exchange_plan(exchange)
assert sorted(exchange.tags) == list(wanted)
for dtype in (torch.float64, torch.float32):
    for shape in ((), (3,), (4, 5)):
        factor = torch.arange(1, 1 + int(np.prod(shape, dtype=int)), dtype=dtype).reshape(shape)

        def features(ids):
            return torch.tensor(ids, dtype=dtype).reshape(-1, *[1] * len(shape)) * factor

        out = exchange_ghosts(features(tags), plan)
        assert len(out) == len(tags) + max(1, len(wanted))
        assert torch.equal(out[: len(tags) + len(wanted)], features([*tags, *exchange.tags]))
        x = torch.randn(len(tags), *shape, dtype=dtype)
        y = torch.randn(out.shape, dtype=dtype)
        forward = float((exchange_ghosts(x, plan).double() * y.double()).sum())
        adjoint = float((x.double() * exchange_ghosts_adjoint(y, plan).double()).sum())
        difference = comm.allreduce(forward - adjoint)
        assert abs(difference) < (1e-12 if dtype is torch.float64 else 1e-4), difference
print("rank", comm.rank, "is right")
"""
UNKNOWN = """
from mpi4py import MPI
import numpy as np

from mhff.errors import MHFFError
from mhff_lammps.exchange import RankExchange
from mhff_lammps.ranks import Ranks

comm = MPI.COMM_WORLD
try:
    wanted = np.array([99] if comm.rank else [], dtype=int)
    RankExchange(Ranks(comm), np.array([comm.rank + 1]), wanted)
except MHFFError as error:
    print(comm.rank, error)
"""
AGREE = """
from mpi4py import MPI

from mhff_lammps.ranks import Ranks

ranks = Ranks(MPI.COMM_WORLD)
try:
    with ranks.together():
        if ranks.rank == 1:
            raise ValueError("only here")
except Exception as error:
    print(ranks.rank, type(error).__name__, error)
with ranks.together():
    pass
print(ranks.gather([f"from {ranks.rank}", "from all"]))
"""
ABORT = """
from mpi4py import MPI

from mhff.errors import MHFFError
from mhff_lammps.ranks import Ranks

ranks = Ranks(MPI.COMM_WORLD)
try:
    with ranks.aborting(), ranks.together():
        raise MHFFError("everywhere")
except MHFFError as error:
    print("all go on after", error, flush=True)
try:
    with ranks.aborting():
        raise ranks.agreed(MHFFError("found together"))
except MHFFError as error:
    print("all go on after", error, flush=True)
MPI.COMM_WORLD.barrier()
with ranks.aborting():
    if ranks.rank == 1:
        raise ValueError("only here")
    MPI.COMM_WORLD.barrier()
"""


@pytest.mark.parametrize("n_ranks", [1, 2, 4])
def test_rows_and_adjoint(n_ranks: int, tmp_path: Path) -> None:
    for empty in (-1, n_ranks - 1):
        done = run_python(tmp_path, SCRIPT.replace("EMPTY", str(empty)), n_ranks)
        assert done.stdout.count("is right") == n_ranks, done.stdout + done.stderr


def test_an_atom_without_an_owner_is_refused_on_all_ranks(tmp_path: Path) -> None:
    done = run_python(tmp_path, UNKNOWN, 2)
    for rank in range(2):
        assert f"{rank} expected every atom within the cutoff among the atoms" in done.stdout


def test_ranks_agree_on_errors(tmp_path: Path) -> None:
    done = run_python(tmp_path, AGREE, 2)
    for rank in range(2):
        assert f"{rank} MHFFError ValueError: only here" in done.stdout, done.stderr
    assert "['from 0', 'from all', 'from 1']" in done.stdout
    assert "[]" in done.stdout


def test_an_unexpected_error_of_one_rank_ends_the_others(tmp_path: Path) -> None:
    done = run_python(tmp_path, ABORT, 2)
    assert done.returncode == 2
    assert done.stdout.count("all go on after everywhere") == 2
    assert done.stdout.count("all go on after found together") == 2
    assert "mhff: ValueError: only here (rank 1)" in done.stderr
