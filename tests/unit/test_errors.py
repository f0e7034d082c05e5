"""Error messages quote files and names, which may hold anything, and end up on a terminal."""

from __future__ import annotations

import pytest

import mhff.cli
from mhff.errors import one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer als [nichts], 2 Å", "größer als [nichts], 2 Å"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("two\nlines\u2028three", "two\\nlines\\u2028three"),
        ("\u202eback", "\\u202eback"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown
    if shown == text:
        assert one_line(text) == text
    else:
        with pytest.raises(ValueError, match="expected one line without control characters"):
            one_line(text)


def test_the_command_line_prints_no_control_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["mhff", "info", "\x1b[2Jmodel.mhff"])
    with pytest.raises(SystemExit):
        mhff.cli.main()
    assert capsys.readouterr().err.startswith("mhff: no file '\\x1b[2Jmodel.mhff'")
