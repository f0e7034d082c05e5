"""Writes `mace-mh-1.model`, a random model of the published model's size, and numbers of one
structure, head by head.

.venv-peer/bin/python tests/parity/peer/write_full_size.py TASK FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from calibrate import calibrate
from evaluate import reference_numbers
from random_models import build


def main() -> None:
    """Read the command line."""
    task, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    torch.set_num_threads(1)
    path = folder / "mace-mh-1.model"
    model = build(task["options"], seed=0)
    calibrate(model, task["small"])
    torch.save(model, path)
    del model
    for head in task["heads"]:
        np.savez(folder / f"{head}.npz", **reference_numbers(path, task["structures"], [head]))


if __name__ == "__main__":
    main()
