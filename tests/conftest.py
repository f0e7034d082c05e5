"""All tests use one thread, and check that the library leaves torch's global state alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import Here, here
from left_out import say_what_was_left_out
from threads import N_THREADS

torch.set_num_threads(N_THREADS)


@pytest.fixture(autouse=True)
def _no_global_state() -> Iterator[None]:
    before = torch.get_default_dtype(), torch.is_grad_enabled()
    yield
    after = torch.get_default_dtype(), torch.is_grad_enabled()
    assert after == before, "a test or the library changed torch's default dtype or gradient mode"


@pytest.fixture
def mhff(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command line in this process: `mhff("info", path)`."""
    return here(monkeypatch, capsys)


@pytest.fixture(scope="session")
def mace_files() -> dict[str, Path]:
    """Model files that mace-torch wrote, by case (tests/parity/cases.py): mh1, omol, p00, ..."""
    from cases import CASES  # here, because only some tests need the peer
    from references import references

    return {case: references().file(case) for case in CASES}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Write the last line of a run behind everything else."""
    yield
    say_what_was_left_out(terminalreporter)
