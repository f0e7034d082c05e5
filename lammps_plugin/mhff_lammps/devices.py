"""Cores and GPUs of the ranks of a machine: no two ranks compute on the same cores."""

from __future__ import annotations

import os
from typing import Any

import torch

from mhff_lammps.coupling import device_of
from mhff_lammps.ranks import Ranks, import_mpi


def share_machine(ranks: Ranks, data: Any) -> None:
    """Give each rank of a machine its share of the cores, and a GPU if there are some; collective.

    A single rank keeps torch's own number of threads. With KOKKOS on GPUs, a rank computes where
    LAMMPS' arrays are; otherwise the ranks of a machine take its GPUs in turn.
    """
    place = 0
    if ranks.comm is not None:
        neighbours = ranks.comm.Split_type(import_mpi().COMM_TYPE_SHARED)
        place = neighbours.rank
        cores = neighbours.allgather(frozenset(os.sched_getaffinity(0)))
        neighbours.Free()
        torch.set_num_threads(min(torch.get_num_threads(), n_threads(cores, place)))
    if torch.cuda.is_available():
        of_arrays = device_of(data).index
        chosen = place % torch.cuda.device_count() if of_arrays is None else of_arrays
        torch.cuda.set_device(chosen)


def n_threads(cores: list[frozenset[int]], place: int) -> int:
    """Threads of the rank at `place`, from the cores that each rank of a machine may use."""
    mine = cores[place]
    sharing = sum(bool(mine & others) for others in cores)
    return max(1, len(mine) // sharing)
