"""How a user's mistake reaches the user: one sentence.

Inside the program `lmp`, LAMMPS would print a traceback and its own text, and with several ranks an
exception on one of them hangs the run. So the sentence is printed and the program ended with exit
code 2. Under a Python driver, that would end the driver; there the exception goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mhff.errors import MHFFError


def python_is_embedded() -> bool:
    """Whether Python runs inside another program (`lmp`): then it was started without a command
    line.
    """
    return not sys.orig_argv


@contextmanager
def reported() -> Iterator[None]:
    """Print an MHFFError and exit with code 2 inside `lmp`; let it go on under a Python driver."""
    try:
        yield
    except MHFFError as error:
        if not python_is_embedded():
            raise
        print(f"mhff: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None
