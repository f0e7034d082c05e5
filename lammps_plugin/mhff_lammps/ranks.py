"""The MPI ranks of a run: they agree on errors, so that none waits for one that has stopped.

LAMMPS starts MPI. mpi4py is imported only in a run of several ranks. It never starts MPI, and ends
it only in `Ranks.leave`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np

from mhff.errors import MHFFError

FAILED = 2
"""Exit status of a run that mhff ends."""
RANK_VARIABLES = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")
"""Where MPICH, PMIx, Open MPI and Slurm tell a process its rank."""


def import_mpi() -> Any:
    """The module `mpi4py.MPI`; raises MHFFError if it is not installed."""
    try:
        import mpi4py

        mpi4py.rc.initialize = False
        mpi4py.rc.finalize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: no MPI library is found
        raise MHFFError(
            f"several MPI ranks need the package mpi4py ({error}); run pip install mpi4py, or "
            "start one rank"
        ) from error
    return MPI


class Ranks:
    """The ranks of a LAMMPS instance; without a communicator, a single one."""

    def __init__(self, comm: Any = None) -> None:
        """`comm`: an `mpi4py.MPI.Comm`, or None."""
        self.comm = comm
        self.size: int = 1 if comm is None else comm.size
        self.rank: int = 0 if comm is None else comm.rank
        self._agreed: MHFFError | None = None

    @classmethod
    def of(cls, lammps: Any) -> Ranks:
        """The ranks of a `lammps.lammps` object; collective."""
        if lammps.extract_setting("world_size") == 1:
            return cls()
        import_mpi()
        return cls(lammps.get_mpi_comm())

    @classmethod
    def as_started(cls) -> Ranks:
        """This rank alone, with its number: all that is known before LAMMPS can be asked.

        mpi4py must not be imported into a LAMMPS without MPI, whose own stand-ins for MPI it would
        replace.
        """
        ranks = cls()
        numbers = [os.environ[name] for name in RANK_VARIABLES if name in os.environ]
        ranks.rank = int(numbers[0]) if numbers else 0
        return ranks

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise on all ranks the error that one of them meets inside; collective.

        What is done inside must not communicate. Of several errors, that of the first rank counts.
        """
        if self.comm is None:
            yield
            return
        found: Exception | None = None
        try:
            yield
        except Exception as error:
            found = error
        mine = self.size if found is None else self.rank
        first = self.comm.allreduce(mine, import_mpi().MIN)
        if first == self.size:
            return
        message = self.comm.bcast(_sentence(found) if first == self.rank else None, root=first)
        cause = None if isinstance(found, MHFFError) else found
        raise self.agreed(MHFFError(message)) from cause

    def agreed(self, error: MHFFError) -> MHFFError:
        """An error that all ranks are about to raise, so that `aborting` lets it pass."""
        self._agreed = error
        return error

    @contextmanager
    def aborting(self) -> Iterator[None]:
        """End all ranks if one fails inside, unless they have agreed on the error.

        The others may wait for its messages, and would wait for ever.
        """
        try:
            yield
        except Exception as error:
            if self.comm is not None and error is not self._agreed:
                print(f"mhff: {_sentence(error)} (rank {self.rank})", file=sys.stderr, flush=True)
                self.comm.Abort(FAILED)
            raise

    def leave(self) -> None:
        """End MPI in order before the process ends, which all ranks do; collective."""
        if self.comm is None:
            return
        mpi = import_mpi()
        self.comm.barrier()
        if self.size == mpi.COMM_WORLD.size:  # otherwise other partitions of LAMMPS still run
            mpi.Finalize()

    def gather(self, sentences: list[str]) -> list[str]:
        """Different sentences of all ranks, on the first one; none on the others; collective."""
        if self.comm is None:
            return sentences
        given = self.comm.gather(sentences)
        return [] if given is None else list(dict.fromkeys(chain.from_iterable(given)))

    def total(self, n: int) -> int:
        """The sum of a number over all ranks; collective."""
        return n if self.comm is None else int(self.comm.allreduce(n))

    def of_all(self, values: np.ndarray) -> np.ndarray:
        """The values of all ranks, in the order of the ranks; collective."""
        return values if self.comm is None else np.concatenate(self.comm.allgather(values))


def _sentence(error: Exception | None) -> str:
    return str(error) if isinstance(error, MHFFError) else f"{type(error).__name__}: {error}"
