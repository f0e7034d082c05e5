"""Folders with reference data on this machine, if there are any."""

from __future__ import annotations

from pathlib import Path

import pytest

from mhff.files import cache_folder

UNPACKED = cache_folder() / "suite"
"""Where a developer unpacks psi4-data and the source distributions of phonopy and matcalc."""


@pytest.fixture
def suite_data() -> tuple[Path, ...]:
    """Folders to look for reference data, besides installed packages."""
    return (UNPACKED,) if UNPACKED.is_dir() else ()
