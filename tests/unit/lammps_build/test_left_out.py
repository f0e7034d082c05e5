"""Tests that need KOKKOS are left out where there is none, and the run ends with a loud line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from left_out import LEFT_OUT

TESTS = Path(__file__).parents[2]
CONFTEST = """
import sys
sys.prefix = {prefix!r}
import pytest
from left_out import say_what_was_left_out, skip_without_kokkos

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    yield
    say_what_was_left_out(terminalreporter)

@pytest.fixture
def coupling():
    skip_without_kokkos()
"""
CASES = "def test_plain(): pass\ndef test_one(coupling): pass\ndef test_two(coupling): pass\n"


def run(folder: Path) -> str:
    (folder / "conftest.py").write_text(CONFTEST.format(prefix=str(folder)))
    (folder / "test_cases.py").write_text(CASES)
    paths = [str(TESTS), str(TESTS.parent / "lammps_plugin")]
    environment = {"PYTHONPATH": ":".join(paths), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_reason_is_the_last_line_but_one(tmp_path: Path) -> None:
    (tmp_path / "why-no-lmp-kokkos").write_text("no apt-get\n")
    lines = run(tmp_path).splitlines()
    expected = "2 LAMMPS tests in the KOKKOS coupling were LEFT OUT: no apt-get"
    assert lines[-2] == expected
    assert "1 passed, 2 skipped" in lines[-1]


def test_nothing_is_said_where_all_ran(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "lmp-kokkos").touch()
    output = run(tmp_path)
    assert "3 passed" in output
    assert "LEFT OUT" not in output
    assert LEFT_OUT not in output
