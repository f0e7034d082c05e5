"""Ghost exchange between MPI ranks: each rank sends rows of its atoms to the ranks that need them.

Atoms are known by LAMMPS' atom IDs. A directory, of which rank ID mod size holds a part, tells each
rank who owns the atoms that it needs. Ghosts are ordered by owner, so that messages are received
where they are needed.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
import torch

from mhff.errors import MHFFError
from mhff_lammps.ranks import Ranks, import_mpi


class RankExchange:
    """Implements `mhff.ops.ghosts.Exchange` with MPI."""

    def __init__(self, ranks: Ranks, tags: np.ndarray, wanted: np.ndarray) -> None:
        """Agree on who sends what to whom; collective.

        `tags [n_local]`: ID of each row of this rank; `wanted [n_remote]`: different IDs of atoms
        of other ranks that this one needs. Raises MHFFError on all ranks if an atom has no owner.
        """
        comm = ranks.comm
        self.comm = comm
        owners, rows = _look_up(ranks, tags, wanted)
        by_owner = np.lexsort((rows, owners))
        self.tags = wanted[by_owner]
        """ID of each ghost; one fewer than `n_ghosts` if there is none."""
        self.received = np.bincount(owners, minlength=comm.size).astype(np.int32)
        """Number of rows from each rank."""
        to_send, self.sent = _swap(comm, rows[by_owner, None], self.received)
        self._to_send = torch.from_numpy(to_send[:, 0].copy())
        self.n_ghosts = max(len(self.tags), 1)
        self._kind = {torch.float64: import_mpi().DOUBLE, torch.float32: import_mpi().FLOAT}

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """See `Exchange.forward`; a ghost that stands for none has zeros."""
        n_local = features.shape[0]
        result = features.new_zeros((n_local + self.n_ghosts, *features.shape[1:]))
        result[:n_local] = features
        sent = features.index_select(0, self._rows(features))
        result[n_local : n_local + len(self.tags)] = self._send(
            sent, self.sent, self.received, len(self.tags)
        )
        return result

    def adjoint(self, gradients: torch.Tensor) -> torch.Tensor:
        """See `Exchange.adjoint`."""
        n_local = gradients.shape[0] - self.n_ghosts
        of_ghosts = gradients[n_local : n_local + len(self.tags)].contiguous()
        rows = self._rows(gradients)
        received = self._send(of_ghosts, self.received, self.sent, len(rows))
        return gradients[:n_local].index_add(0, rows, received)

    def _rows(self, like: torch.Tensor) -> torch.Tensor:
        """Rows to send, on the device of `like`."""
        if self._to_send.device != like.device:
            self._to_send = self._to_send.to(like.device)
        return self._to_send

    def _send(
        self, rows: torch.Tensor, counts: np.ndarray, counts_back: np.ndarray, n_back: int
    ) -> torch.Tensor:
        """Rows from the other ranks, `[n_back, ...]`, for these rows, sorted by their receiver."""
        device = rows.device
        direct = device.type == "cpu" or mpi_reads_gpu_memory()
        if device.type != "cpu":
            torch.cuda.current_stream(device).synchronize()
        given = rows if direct else rows.cpu()
        back = given.new_empty((n_back, *rows.shape[1:]))
        # counts are numbers of rows, so that they fit into 32 bits
        row = self._kind[rows.dtype].Create_contiguous(rows.shape[1:].numel())
        row.Commit()
        try:
            self.comm.Alltoallv(
                [_buffer(given), (counts, None), row], [_buffer(back), (counts_back, None), row]
            )
        finally:
            row.Free()
        return back.to(device)


def _buffer(tensor: torch.Tensor) -> Any:
    """A tensor as mpi4py takes it."""
    return tensor.numpy() if tensor.device.type == "cpu" else tensor


def _look_up(ranks: Ranks, tags: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank and row of each wanted atom, `[n]`; collective."""
    comm = ranks.comm
    held, _ = _to_holders(
        comm, tags, np.stack([tags, np.full_like(tags, comm.rank), np.arange(len(tags))], 1)
    )
    held = held[np.argsort(held[:, 0])]
    asked, counts = _to_holders(comm, wanted, wanted[:, None])
    place = np.searchsorted(held[:, 0], asked[:, 0])
    place = np.minimum(place, max(len(held) - 1, 0))
    unknown = len(asked) and (not len(held) or bool((held[place, 0] != asked[:, 0]).any()))
    with ranks.together():
        if unknown:
            raise MHFFError(
                "expected every atom within the cutoff among the atoms that the pair style acts "
                "on, got one that it does not act on, or two atoms with the same ID; give all "
                "types a label, and each atom its own ID"
            )
    answers, _ = _swap(comm, held[place, 1:] if len(asked) else np.zeros((0, 2), np.int64), counts)
    order = np.argsort(wanted % comm.size, kind="stable")
    found = np.empty((len(wanted), 2), dtype=np.int64)
    found[order] = answers
    return found[:, 0], found[:, 1]


def _to_holders(comm: Any, tags: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Send a row of values of each atom to the rank that holds its part of the directory."""
    holder = tags % comm.size
    order = np.argsort(holder, kind="stable")
    counts = np.bincount(holder, minlength=comm.size)
    return _swap(comm, values[order], counts)


def _swap(comm: Any, values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[n, k]` of integers, `counts` to each rank; what this rank gets, and its counts."""
    integer = import_mpi().INT64_T
    sent = np.ascontiguousarray(counts, dtype=np.int32)
    received = np.empty_like(sent)
    comm.Alltoall(sent, received)
    width = values.shape[1]
    back = np.empty((int(received.sum()), width), dtype=np.int64)
    comm.Alltoallv(
        [np.ascontiguousarray(values, dtype=np.int64), (sent * width, None), integer],
        [back, (received * width, None), integer],
    )
    return back, received


@cache
def mpi_reads_gpu_memory() -> bool:
    """Whether this process' MPI library says that it takes pointers to GPU memory."""
    query = getattr(ctypes.CDLL(None), "MPIX_Query_cuda_support", None)
    return query is not None and bool(query())
