"""The command line `mhff` in tests: as a process of its own, or at once in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mhff.cli import main

MHFF = Path(sys.executable).parent / "mhff"
MAX_SECONDS = 1800
"""Only to end a command that hangs."""
WIDTH = "200"
"""Columns of the terminal that tables are drawn for."""

Done = subprocess.CompletedProcess[str]
Here = Callable[..., Done]


def run_mhff(
    *arguments: object, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Done:
    """Run the command in a process, with this process's environment or another."""
    return subprocess.run(
        [str(MHFF), *map(str, arguments)],
        cwd=folder,
        env=dict(os.environ) | {"COLUMNS": WIDTH} if environment is None else dict(environment),
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        check=False,
    )


def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command as a function of this process; the fixture `mhff` of tests/conftest.py."""

    def call(*arguments: object) -> Done:
        command = ["mhff", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        monkeypatch.setenv("COLUMNS", WIDTH)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return Done(command, int(stop.value.code or 0), printed.out, printed.err)

    return call


def output_of(done: Done) -> str:
    """Standard output of a command that must have succeeded."""
    assert done.returncode == 0, (
        f"{done.args} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def refusal_of(done: Done) -> str:
    """The one sentence with which a command refuses a user's mistake."""
    assert (done.returncode, done.stdout) == (2, ""), f"{done.args}:\n{done.stdout}\n{done.stderr}"
    assert done.stderr.startswith("mhff: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.removeprefix("mhff: ").rstrip()
