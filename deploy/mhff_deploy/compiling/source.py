"""The code of this package that decides what a program computes, and from which inputs."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path


@lru_cache(maxsize=1)
def source_checksum() -> str:
    """Checksum of that code; caches ask for what was made by the same."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sources() -> list[Path]:
    """Files of that code: the table of inputs, where tables begin, and the rooms of programs."""
    core = Path(str(files("mhff")))
    found = [core / "graph.py", core / "neighbours.py"]
    for folder in (core / "model", core / "ops", Path(str(files("mhff_deploy")))):
        found += sorted([*folder.rglob("*.py"), *folder.rglob("*.h")])
    return found
