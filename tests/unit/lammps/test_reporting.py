"""A mistake reaches the user as an exception or as a printed sentence."""

from __future__ import annotations

import sys

import pytest

from mhff.errors import MHFFError
from mhff_lammps.ranks import Ranks
from mhff_lammps.reporting import reported


def test_a_driver_gets_the_exception() -> None:
    with pytest.raises(MHFFError, match="a sentence"), reported(Ranks):
        raise MHFFError("a sentence")


def test_inside_lmp_the_sentence_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", [])
    with pytest.raises(SystemExit) as caught, reported(Ranks):
        raise MHFFError("a sentence")
    assert caught.value.code == 2
    assert capsys.readouterr().err == "mhff: a sentence\n"
