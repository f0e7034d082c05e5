"""The client side of a worker: starts a process, sends requests, reads answers.

`workers/serving.py` has the table of requests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mhff.errors import MHFFError

OWN_COMMAND = (sys.executable, "-P", "-m", "mhff_bench.own_worker")
MHFF_COMMAND = (sys.executable, "-P", "-c", "from mhff.cli import main; main()")
"""The command `mhff` of this Python, wherever its script is."""
PEER_SCRIPT = Path(__file__).parent / "workers" / "peer.py"
SECONDS_TO_END = 10
"""Time that a worker has to end by itself, s."""


class Worker:
    """A process with one contender; close it, or use it as a context."""

    def __init__(
        self,
        label: str,
        command: Sequence[str],
        options: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the process and open the contender; `environment` is added to this process's own.

        Raises MHFFError, with the worker's own message, if that fails.
        """
        self.label = label
        threads = str(options["threads"])
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        try:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": threads,
                    "MKL_NUM_THREADS": threads,
                    "PYTHONWARNINGS": "ignore",
                    **(environment or {}),
                },
            )
        except OSError as error:
            raise MHFFError(
                f"cannot start '{command[0]}' for {label} ({error.strerror}); check that path"
            ) from error
        self.about: dict[str, Any] = self.ask("open", options)["about"]

    def ask(self, request: str, value: Any) -> dict[str, Any]:
        """The answer to a request; raises MHFFError if the worker fails."""
        line = self._exchange(json.dumps({request: value}))
        if not line:
            self.close()
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines() or ["it said nothing"]
            raise MHFFError(
                f"{self.label} ended with code {self.process.returncode} ({said[-1]}); leave it out"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            self.close()
            if answer["kind"] == MHFFError.__name__:
                raise MHFFError(answer["error"])
            reason = (
                answer["error"].strip().splitlines()[-1]
            )  # some engines print a traceback first
            raise MHFFError(f"{self.label} failed ({answer['kind']}: {reason}); leave it out")
        return answer

    def _exchange(self, line: str) -> str:
        """Send a line and read one; empty if the process has ended."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:  # it was started with both
            return ""
        try:
            stdin.write(line + "\n")
            stdin.flush()
        except BrokenPipeError:
            return ""
        return stdout.readline()

    def close(self) -> None:
        """End the process."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        try:
            self.process.wait(timeout=SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
