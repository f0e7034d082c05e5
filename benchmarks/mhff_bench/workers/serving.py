"""A worker's side of the conversation: one JSON object per line, in on stdin, out on stdout.

| request             | answer                                                             |
|---------------------|--------------------------------------------------------------------|
| {"open": options}   | {"about": {...}}: versions and settings                            |
| {"prepare": system} | {"value": ...}, after one step: energy, eV, or the loss of a batch   |
| {"run": n}          | {"wall": s, "cpu": s, "adapter": s} of n steps, after an untimed one |
| {"memory": "start"} | {"bytes": held now}; from here on the peak is recorded             |
| {"memory": "peak"}  | {"bytes": most held since the start}                               |

An answer {"error": text, "kind": class} ends the conversation. Standard library only: this runs in
peers' interpreters, too.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

RESET_PEAK = "5"
"""Written to clear_refs, makes Linux forget the peak of a process's memory (proc(5))."""


class Contender(Protocol):
    """One way to evaluate a model."""

    about: dict[str, Any]
    """Versions and settings worth knowing."""

    def prepare(self, system: dict[str, Any]) -> float:
        """Take one step with a system (numbers, positions in A, cell, pbc); its energy, eV.

        In training a system is a batch (`mhff_bench.batches`), and the value is its loss before
        the step.
        """
        ...

    def run(self, n_steps: int) -> float | None:
        """Compute energies and forces of n steps; returns the seconds in an adapter, or None."""
        ...


def serve(open_contender: Callable[[dict[str, Any]], Contender]) -> None:
    """Answer requests until stdin ends; all other output goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # engines may print anything
    contender: Contender | None = None
    for line in sys.stdin:
        ((name, value),) = json.loads(line).items()
        try:
            if name == "open":
                contender = open_contender(value)
                answer: dict[str, Any] = {"about": contender.about}
            elif contender is None:
                raise ValueError(f"asked to {name} before anything was opened")
            else:
                answer = _answer(contender, name, value)
        except Exception as error:
            answers.write(
                json.dumps(
                    {"error": str(error) or type(error).__name__, "kind": type(error).__name__}
                )
                + "\n"
            )
            raise
        answers.write(json.dumps(answer) + "\n")


def _answer(contender: Contender, name: str, value: Any) -> dict[str, Any]:
    if name == "prepare":
        return {"value": contender.prepare(value)}
    if name == "run":
        return timed(contender, value)
    if value == "start":
        return {"bytes": start_of_memory()}
    return {"bytes": _status("VmHWM")}


def timed(contender: Contender, n_steps: int) -> dict[str, float | None]:
    """Times of n steps, s, after one that brings the data back into the cache."""
    contender.run(1)
    wall, cpu = time.perf_counter(), time.process_time()
    adapter = contender.run(n_steps)
    taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {**taken, "adapter": adapter}


def start_of_memory() -> int:
    """Bytes that the process holds after freeing what it can; its peak is reset. Linux only."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    return _status("VmRSS")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"this system does not report {name} of a process")
