"""What `HeadEnergyReporter` refuses before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mhff.errors import MHFFError
from mhff_openmm import HeadEnergyReporter


@pytest.mark.parametrize("interval", [0, -1, 10.0, "10", True, None])
def test_intervals_that_are_no_numbers_of_steps(interval: Any) -> None:
    with pytest.raises(MHFFError, match="expected a positive number of steps between reports"):
        HeadEnergyReporter(None, interval)


def test_an_interval_of_numpy() -> None:
    assert HeadEnergyReporter(None, np.int64(5)).interval == 5


@pytest.mark.parametrize("file", [3, open, b"heads.csv"])
def test_files_that_are_no_names(file: Any) -> None:
    with pytest.raises(MHFFError, match=r"expected the name of a file to write, got .*'heads.csv'"):
        HeadEnergyReporter(file, 1)


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match="expected the name of a file to write, got the folder"):
        HeadEnergyReporter(tmp_path, 1)
    (tmp_path / "file").touch()
    with pytest.raises(MHFFError, match=r"cannot write '.*heads.csv' \('.*file' is not a folder\)"):
        HeadEnergyReporter(tmp_path / "file" / "heads.csv", 1)
