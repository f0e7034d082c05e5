"""Questions to other programs, which may be broken: they get a time limit and no input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mhff.errors import printable

TIME_LIMIT = 60.0
"""Seconds; importing torch from a slow network disk takes most of them."""
MAX_REASON = 200
"""Characters of a program's last line that are shown."""


class NoAnswerError(Exception):
    """A program gave no answer; the message says why and follows its name in a sentence."""

    def __init__(self, reason: str, output: str = "") -> None:
        """`output`: what the program printed before it failed."""
        super().__init__(reason)
        self.output = output


def ask(
    command: Sequence[str | Path], folder: Path | None = None, limit: float = TIME_LIMIT
) -> str:
    """Output of a program that ends with code 0 within `limit` seconds; NoAnswerError otherwise.

    It runs in `folder`. At the limit, it and the programs that it started are killed.
    """
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise NoAnswerError(f"cannot be started ({error.strerror})") from error
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise NoAnswerError(f"gave no answer within {limit:g} s", output) from error
    if process.returncode:
        raise NoAnswerError(f"{_end(process.returncode)}{_last_line(output)}", output)
    return output


def ask_python(code: str, limit: float = TIME_LIMIT) -> dict[str, Any]:
    """The JSON object that `code` prints in another process of this Python; or NoAnswerError."""
    output = ask([sys.executable, "-c", code], limit=limit)
    answers = [line for line in output.splitlines() if line.startswith("{")]
    if not answers:
        raise NoAnswerError("printed no answer", output)
    answer: dict[str, Any] = json.loads(answers[-1])
    return answer


def _end(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f": {printable(lines[-1][:MAX_REASON])}" if lines else ""
