"""Programs that answer, fail, hang, or are not there."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from mhff.doctor.questions import NoAnswerError, ask, ask_python

LIMIT = 1.0
MAX_SECONDS = 20
"""A program that hangs would take much longer."""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_an_answer(tmp_path: Path) -> None:
    assert ask(python("import os; print(os.getcwd())"), tmp_path).strip() == str(tmp_path)
    assert ask_python("print('noise'); print('{\"a\": 1}')") == {"a": 1}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('why'); raise SystemExit(3)", "ended with code 3: why"),
        ("import os; os.kill(os.getpid(), 11)", "was ended by signal 11"),
        ("raise RuntimeError('bad \\x1b[31m')", r"ended with code 1: RuntimeError: bad \x1b[31m"),
    ],
)
def test_a_failure_is_a_reason(code: str, reason: str) -> None:
    with pytest.raises(NoAnswerError) as raised:
        ask(python(code))
    assert str(raised.value) == reason


def test_output_before_a_failure_is_kept() -> None:
    with pytest.raises(NoAnswerError) as raised:
        ask(python("print('half', flush=True); raise SystemExit(1)"))
    assert raised.value.output == "half\n"


def test_no_answer_is_a_reason() -> None:
    with pytest.raises(NoAnswerError, match=r"^printed no answer$"):
        ask_python("print(1)")


def test_a_missing_program() -> None:
    with pytest.raises(NoAnswerError, match=r"^cannot be started \(No such file or directory\)$"):
        ask(["/no/such/program"])


def test_a_program_that_hangs_is_killed_with_its_children() -> None:
    child = python("import time; time.sleep(600)")
    code = f"import subprocess; subprocess.run({child!r})"
    start = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"^gave no answer within 1 s$"):
        ask(python(code), limit=LIMIT)
    assert time.monotonic() - start < MAX_SECONDS


def test_a_program_gets_no_input() -> None:
    assert ask(python("import sys; print(repr(sys.stdin.read()))")) == "''\n"
