"""Threads of the ranks of a machine: no two ranks compute on the same cores."""

from __future__ import annotations

import os

import torch

from mhff_lammps.ranks import Ranks, import_mpi


def share_cores(ranks: Ranks) -> None:
    """Give each rank of a machine its share of the cores as torch's threads; collective.

    A single rank keeps torch's own number, and so does a rank that has fewer threads already.
    """
    if ranks.comm is None:
        return
    neighbours = ranks.comm.Split_type(import_mpi().COMM_TYPE_SHARED)
    mine = frozenset(os.sched_getaffinity(0))
    all_cores = neighbours.allgather(mine)
    neighbours.Free()
    sharing = sum(bool(mine & others) for others in all_cores)
    torch.set_num_threads(min(torch.get_num_threads(), max(1, len(mine) // sharing)))
