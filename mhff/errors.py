"""The one exception for what a user can get wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that are not shown as they are: controls, formats, line separators, ..."""


class MHFFError(Exception):
    """A user's mistake, explained in one sentence: expected, got, what exists, what to do.

    The command line prints the sentence and exits with code 2; Python callers see this exception.
    """


class NoCompilerError(MHFFError):
    """Nothing on this machine can compile a model; the model still runs in its eager form."""


class TooManyElementsError(MHFFError):
    """A structure has more elements than a program has room for tables."""


def listing(names: Iterable[object]) -> str:
    """Join names for a sentence: ``a, b, c``, or ``none``."""
    return ", ".join(str(name) for name in names) or "none"


def shortened(names: Sequence[object], most: int = 20) -> str:
    """A listing that names the first few and counts the rest."""
    rest = len(names) - most
    return listing(names[:most]) + (f", and {rest} more" if rest > 0 else "")


def nearest_to(name: str, names: Iterable[str]) -> str:
    """The beginning of advice about an unknown name, ``the nearest is b, and ``, or nothing."""
    nearest = get_close_matches(name, list(names), n=1)
    return f"the nearest is {nearest[0]}, and " if nearest else ""


def printable(text: str) -> str:
    """Text without control characters, which could steer a terminal: they are shown as escapes."""
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in _NOT_SHOWN
        else letter
        for letter in text
    )


def one_line(text: str) -> str:
    """`text` itself; raises ValueError if it has line breaks or control characters."""
    if printable(text) != text:
        raise ValueError(f"expected one line without control characters, got '{printable(text)}'")
    return text


@contextmanager
def located(place: str) -> Iterator[None]:
    """Begin the sentence of an MHFFError raised inside with its file or structure."""
    try:
        yield
    except MHFFError as error:
        raise MHFFError(f"{place}: {error}") from error
