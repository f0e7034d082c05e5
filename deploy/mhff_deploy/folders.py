"""Where compiled things are kept unless another place is given."""

from __future__ import annotations

from pathlib import Path

from mhff.folders import cache_folder, kernel_folder

__all__ = ["artefact_folder", "kernel_folder"]


def artefact_folder() -> Path:
    """Artefacts of the compile cache."""
    return cache_folder() / "artefacts"
