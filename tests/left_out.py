"""LAMMPS tests that need KOKKOS are left out where it could not be built, and the run says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lammps_build.environment import reason_without_kokkos

LEFT_OUT = "no KOKKOS build of LAMMPS"
"""Begins the reason of each skipped test."""


def skip_without_kokkos() -> None:
    """Skip the test unless the environment has a LAMMPS with KOKKOS."""
    reason = reason_without_kokkos(Path(sys.prefix))
    if reason is not None:
        pytest.skip(f"{LEFT_OUT}: {reason}")


def say_what_was_left_out(terminal: pytest.TerminalReporter) -> None:
    """Write one line after the results if tests were left out."""
    reasons = [str(report.longrepr) for report in terminal.getreports("skipped")]
    left_out = [reason for reason in reasons if LEFT_OUT in reason]
    if left_out:
        why = reason_without_kokkos(Path(sys.prefix))
        line = f"{len(left_out)} LAMMPS tests in the KOKKOS coupling were LEFT OUT: {why}"
        terminal.write_line(line, red=True, bold=True)
