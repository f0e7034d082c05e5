"""How a user's mistake reaches the user: in one sentence.

Inside the program `lmp`, an exception would appear as a traceback with text of LAMMPS around it,
and on one of several MPI ranks it would hang the run. So mhff prints the sentence and ends the
program with exit code 2. That would also end a Python driver, so a driver gets the exception.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mhff.errors import MHFFError


def python_is_embedded() -> bool:
    """Whether Python runs inside another program (`lmp`), which starts it without arguments."""
    return not sys.orig_argv


@contextmanager
def reported() -> Iterator[None]:
    """Print an MHFFError and exit with code 2 inside `lmp`; raise it under a Python driver."""
    try:
        yield
    except MHFFError as error:
        if not python_is_embedded():
            raise
        print(f"mhff: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None
