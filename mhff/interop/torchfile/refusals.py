"""Why a file is refused, before anybody knows its name; `records.read_model_file` makes the user's
sentence of it.
"""

from __future__ import annotations


class RefusedError(ValueError):
    """A file that is not read; never leaves `mhff.interop`."""

    def sentence(self, name: str) -> str:
        """The reason in one sentence that begins with the file's name."""
        return f"'{name}' {self}"


class DamagedError(RefusedError):
    """Bytes that are not as torch writes them: damage, or an attempt to deceive."""

    def sentence(self, name: str) -> str:
        """The reason in one sentence that begins with the file's name."""
        return f"'{name}' is truncated or damaged ({self}); get the file again"


class ForeignError(RefusedError):
    """A whole file, but not of a model that mhff reads; the text follows the file's name: `holds a
    dictionary; give ...`.
    """


def quoted(text: object) -> str:
    """Something a file says, for a sentence: quoted, one line, no control characters, at most about
    60 characters.
    """
    shown = repr(str(text)[:61])
    return shown if len(shown) <= 63 else shown[:59] + "...'"
