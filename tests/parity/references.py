"""Files and numbers of mace-torch: made once by the peer environment, kept in the user's cache.

Any test can ask for a file by the name of its case: `references().file("mh1")`.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from cases import CASES, Case
from environment import PYTHON, is_ready, requirements
from geometries import to_json

from mhff.files import cache_folder

PEER = Path(__file__).resolve().parent / "peer"
CACHE = cache_folder() / "parity"
"""One folder for each state of the peer's scripts and cases; any of them may be deleted."""


@dataclass(frozen=True)
class References:
    """A folder with `<case>.model`, `<case>.npz` (peer/evaluate.py) and `refused/<name>.model`."""

    folder: Path

    def file(self, case: str) -> Path:
        """A model file that mace-torch wrote."""
        return self.folder / f"{case}.model"

    def numbers(self, case: str) -> dict[str, np.ndarray]:
        """mace-torch's results for it."""
        with np.load(self.folder / f"{case}.npz") as numbers:
            return dict(numbers)

    def refused(self, name: str) -> Path:
        """A file that mhff does not import."""
        return self.folder / "refused" / f"{name}.model"


def job(cases: dict[str, Case], **more: object) -> str:
    """The request to the peer, as JSON."""
    described = [
        {
            "name": name,
            "seed": case.seed,
            "options": case.options,
            "structures": [
                to_json(structure, atoms) for structure, atoms in case.structures().items()
            ],
        }
        for name, case in cases.items()
    ]
    return json.dumps({"cases": described, **more})


def made_by_peer(script: str, task: str) -> Path:
    """The folder that `peer/<script> TASK FOLDER` fills, once for each task and script version.

    Raises RuntimeError if the peer environment is missing or its script fails.
    """
    if not is_ready():
        raise RuntimeError(
            f"the parity tests need mace-torch in {PYTHON.parents[1]}; run `make peer`"
        )
    sources = [path.read_text() for path in sorted(PEER.glob("*.py"))]
    key = hashlib.sha256("\0".join([script, task, requirements(), *sources]).encode()).hexdigest()[
        :16
    ]
    folder = CACHE / f"{Path(script).stem}-{key}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            made = Path(name) / "made"
            made.mkdir()
            (Path(name) / "task.json").write_text(task)
            command = [PYTHON, "-W", "ignore", PEER / script, Path(name) / "task.json", made]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{PEER / script} failed:\n{done.stderr[-3000:]}")
            if not folder.exists():  # another session may have been faster
                made.rename(folder)
    return folder


@lru_cache
def references() -> References:
    """All cases; made now, which takes about two minutes, where the cache does not have them."""
    return References(made_by_peer("write_references.py", job(CASES)))
