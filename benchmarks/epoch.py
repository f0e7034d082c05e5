"""Seconds per epoch of `mhff train` on `examples/mini`, whole program, with kernels and without."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from mhff_bench.worker import MHFF_COMMAND

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "mini" / "config.yaml"
EPOCHS = {True: 4, False: 2}
"""Epochs of the longer of two runs, with kernels and without."""


def epochs() -> dict[str, float]:
    """Seconds per epoch, validation included: the difference of two runs."""
    return {
        "kernels" if kernels else "plain torch": (seconds(kernels, n) - seconds(kernels, 1))
        / (n - 1)
        for kernels, n in EPOCHS.items()
    }


def seconds(kernels: bool, n_epochs: int) -> float:
    """Time of a whole run with this many epochs, one thread."""
    content = yaml.safe_load(EXAMPLE.read_text())
    with tempfile.TemporaryDirectory() as folder:
        for head in content["heads"].values():
            head["files"] = [str((EXAMPLE.parent / file).resolve()) for file in head["files"]]
        content["run"] |= {"out": folder, "epochs": n_epochs, "kernels": kernels}
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump(content))
        start = time.monotonic()
        run(["train", str(config)])
        return time.monotonic() - start


def run(arguments: list[str]) -> Any:
    """A command of mhff in a process of its own."""
    return subprocess.run(
        [*MHFF_COMMAND, *arguments],
        check=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
