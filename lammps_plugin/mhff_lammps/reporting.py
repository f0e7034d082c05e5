"""How a user's mistake reaches the user: in one sentence.

Inside the program `lmp`, an exception would appear as a traceback with text of LAMMPS around it. So
mhff prints the sentence, once whatever the number of ranks, and ends the program with exit code 2.
That would also end a Python driver, so a driver gets the exception.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mhff.errors import MHFFError
from mhff_lammps.ranks import FAILED, Ranks


def python_is_embedded() -> bool:
    """Whether Python runs inside another program (`lmp`), which starts it without arguments."""
    return not sys.orig_argv


@contextmanager
def reported(ranks_now: Callable[[], Ranks]) -> Iterator[None]:
    """Print an MHFFError and exit with code 2 inside `lmp`; raise it under a Python driver.

    `ranks_now` gives the ranks that have this error, all of them.
    """
    try:
        yield
    except MHFFError as error:
        if not python_is_embedded():
            raise
        ranks = ranks_now()
        if ranks.rank == 0:
            print(f"mhff: {error}", file=sys.stderr, flush=True)
        ranks.leave()
        raise SystemExit(FAILED) from None
