"""Refusals of sound files of mace-torch whose numbers mhff would not reproduce exactly."""

from __future__ import annotations

from collections.abc import Sequence

from mhff.errors import listing
from mhff.interop.torchfile.refusals import RefusedError


class UnknownModelError(RefusedError):
    """A model that mhff cannot reproduce exactly; the text is a clause that says why."""

    def sentence(self, name: str) -> str:
        """The refusal in one sentence that begins with the file's name."""
        return (
            f"'{name}' cannot be imported exactly: {self.reason}; nothing was written, run this "
            "model with mace-torch"
        )


def expect(condition: bool, clause: str) -> None:
    """Raise UnknownModelError with the clause unless the condition holds."""
    if not condition:
        raise UnknownModelError(clause)


def some(names: Sequence[object], limit: int = 5) -> str:
    """The first few of many names, for a sentence."""
    shown = listing(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
