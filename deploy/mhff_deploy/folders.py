"""Where compiled things are kept unless another place is given."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def artefact_folder() -> Path:
    """Artefacts of the compile cache."""
    return Path(platformdirs.user_cache_dir("mhff")) / "artefacts"


def kernel_folder() -> Path:
    """Shared libraries with kernels, each for the shapes of one model."""
    return Path(platformdirs.user_cache_dir("mhff")) / "kernels"
