"""Refusals of files. Readers do not know the file's name; the importer adds it."""

from __future__ import annotations

from mhff.errors import printable

MAX_REASON = 300
"""Longest reason that is shown, characters."""


class RefusedError(ValueError):
    """A file that is not read; never leaves `mhff.interop`."""

    def sentence(self, name: str) -> str:
        """The refusal in one sentence that begins with the file's name."""
        return f"'{name}' {self.reason}"

    @property
    def reason(self) -> str:
        """The reason as one line of bounded length, since it may quote the file."""
        text = printable(str(self))
        return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 3]}..."


class DamagedError(RefusedError):
    """Bytes that torch does not write: damage, or an attempt to deceive."""

    def sentence(self, name: str) -> str:
        """The refusal in one sentence that begins with the file's name."""
        return f"'{name}' is truncated or damaged ({self.reason}); get the file again"


class ForeignError(RefusedError):
    """A whole file of another kind; the text follows the file's name: `holds a dictionary`.

    `advice` says what to do, if more is known from the file than the importer knows.
    """

    def __init__(self, text: str, advice: str = "give a file that holds a whole model") -> None:
        super().__init__(text)
        self.advice = advice

    def sentence(self, name: str) -> str:
        """The refusal in one sentence that begins with the file's name."""
        return f"'{name}' {self.reason}; {self.advice}"


def quoted(text: object) -> str:
    """Words of a file for a sentence: quoted, one line, at most about 60 characters."""
    shown = repr(str(text)[:61])
    return shown if len(shown) <= 63 else shown[:59] + "...'"
