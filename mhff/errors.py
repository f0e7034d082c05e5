"""The one exception for what a user can get wrong."""

from __future__ import annotations

from collections.abc import Iterable


class MHFFError(Exception):
    """A user's mistake, told in one sentence: expected, got, what exists, what to do.

    The command line prints the sentence and exits with code 2; Python callers see this exception.
    """


def listing(names: Iterable[object]) -> str:
    """Join names for a sentence: ``a, b, c``, or ``none``."""
    return ", ".join(str(name) for name in names) or "none"
