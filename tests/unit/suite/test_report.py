"""What counts as a gain and a loss between two models."""

from __future__ import annotations

import pytest

from mhff_suite.outcome import Value
from mhff_suite.report import Change


def change(before: float, after: float, is_law: bool = False) -> Change:
    old, new = (
        Value(quantity="error", value=value, unit="eV", target=1.0) for value in (before, after)
    )
    return Change("task", "error", "head", old, new, is_law=is_law)


@pytest.mark.parametrize(
    ("before", "after", "is_law", "word"),
    [
        (2.0, 1.5, False, "gain"),
        (1.5, 2.0, False, "loss"),
        (2.0, 2.01, False, "same"),
        (1e-6, 1e-3, False, "same"),
        (0.2, 0.6, False, "loss"),
        (0.2, 0.6, True, "same"),
        (0.6, 1.6, True, "loss"),
    ],
)
def test_words_for_changes(before: float, after: float, is_law: bool, word: str) -> None:
    assert change(before, after, is_law).word == word
