"""Tests that need what could not be had here are left out, and the run says so in a loud line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lammps_build.environment import reason_without_kokkos

LEFT_OUT = "no KOKKOS build of LAMMPS"
"""Begins the reason of each skipped test that needs one."""
NO_PLUGIN = "no environment with openmm-torch"
"""Likewise."""
PLUGIN_PYTHON = Path(__file__).parents[1] / ".venv-openmmtorch" / "bin" / "python"
WHY_NO_PLUGIN = Path(__file__).parents[1] / ".venv-openmmtorch-is-missing"
"""Both as `tests/openmmtorch/environment.py` leaves them."""


def skip_without_kokkos() -> None:
    """Skip the test unless the environment has a LAMMPS with KOKKOS."""
    reason = reason_without_kokkos(Path(sys.prefix))
    if reason is not None:
        pytest.skip(f"{LEFT_OUT}: {reason}")


def python_with_plugin() -> Path:
    """The interpreter of the environment with openmm-torch; skips the test if there is none."""
    if not PLUGIN_PYTHON.exists():
        pytest.skip(f"{NO_PLUGIN}: {_reason_without_plugin()}")
    return PLUGIN_PYTHON


def _reason_without_plugin() -> str:
    return WHY_NO_PLUGIN.read_text() if WHY_NO_PLUGIN.exists() else "run `make openmmtorch`"


def say_what_was_left_out(terminal: pytest.TerminalReporter) -> None:
    """Write a line after the results for each kind of test that was left out."""
    reasons = [str(report.longrepr) for report in terminal.getreports("skipped")]
    kinds = (
        (LEFT_OUT, "LAMMPS tests in the KOKKOS coupling", reason_without_kokkos(Path(sys.prefix))),
        (NO_PLUGIN, "tests of OpenMM's backend 'torch'", _reason_without_plugin()),
    )
    for mark, tests, why in kinds:
        count = sum(mark in reason for reason in reasons)
        if count:
            line = f"{count} {tests} were LEFT OUT: {why}"
            terminal.write_line(line, red=True, bold=True)
