"""Where compiled things are kept unless another place is given."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's cache."""
    return Path(platformdirs.user_cache_dir("mhff"))


def kernel_folder() -> Path:
    """Shared libraries with kernels, each for the shapes of one model."""
    return cache_folder() / "kernels"
