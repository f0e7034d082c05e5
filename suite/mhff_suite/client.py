"""The client side of a worker process, which is started again after it has died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import Literal

from mhff_suite.jobs import Done, Job

COMMAND = (sys.executable, "-P", "-m", "mhff_suite.worker")
SECONDS_TO_END = 10.0


class Worker:
    """A process that runs one job at a time."""

    def __init__(self, threads: int) -> None:
        self._threads = str(threads)
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: Literal["prepare", "run"], job: Job) -> Done:
        """The answer to a request; a job during which the process dies has failed."""
        process = self._running()
        try:
            line = _exchange(process, json.dumps({request: job.as_json()}))
        except OSError:
            line = ""
        if line:
            return Done.model_validate_json(line)
        self.stop()
        return Done(state="failed", why=f"its process ended with code {process.returncode}")

    def stop(self) -> None:
        """End the process, at once if it does not end by itself."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End the process at once, in the middle of a job."""
        if self._process is not None:
            self._process.kill()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            threads = {"OMP_NUM_THREADS": self._threads, "MKL_NUM_THREADS": self._threads}
            self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=os.environ | threads | {"PYTHONWARNINGS": "ignore"},
                start_new_session=True,  # the terminal's interrupt is for the runner alone
            )
        return self._process


def _exchange(process: subprocess.Popen[str], line: str) -> str:
    """Send a line and read one; empty if the process has ended."""
    if process.stdin is None or process.stdout is None:  # it was started with both
        return ""
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline()
