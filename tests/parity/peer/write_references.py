"""Writes `<case>.model` and `<case>.npz` for every case of a job (JSON, see
tests/parity/references.py).

.venv-peer/bin/python tests/parity/peer/write_references.py JOB FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibrate import calibrate
from evaluate import reference_numbers
from random_models import build
from refused import write_refused


def write(case: dict[str, Any], folder: Path) -> None:
    """One case: the file, then its numbers."""
    path = folder / f"{case['name']}.model"
    model = build(case["options"], case["seed"])
    calibrate(model, case["structures"])
    if case["options"]["file"].endswith("float64"):
        model.double()
    torch.save(model, path)
    np.savez(path.with_suffix(".npz"), **reference_numbers(path, case["structures"]))


def main() -> None:
    """Read the command line."""
    task, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    torch.set_num_threads(1)
    for case in task["cases"]:
        start = time.monotonic()
        write(case, folder)
        print(f"{case['name']}: {time.monotonic() - start:.1f} s", flush=True)
    write_refused(folder / "refused")


if __name__ == "__main__":
    main()
