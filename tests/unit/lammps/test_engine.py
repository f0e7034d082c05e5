"""What mhff can do with files for LAMMPS."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mhff.errors import MHFFError
from mhff_lammps.engine import check_output


def test_files_are_written_without_lammps() -> None:
    code = (
        "import sys; sys.modules['lammps'] = None; import mhff_lammps.engine as e; "
        "print(e.LAMMPS.target.wrap)"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.startswith("<function wrap")


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("mini.pt", True),
        ("mini.pth", True),
        (".pt", True),
        ("a/b.pt", True),
        ("mini", False),
        ("mini.mliap", False),
        ("mini.pt2", False),
        ("pt", False),
    ],
)
def test_names_that_lammps_gives_to_torch_are_refused(name: str, refused: bool) -> None:
    try:
        check_output(name)
    except MHFFError as error:
        sentence = str(error)
    else:
        sentence = ""
    assert ("does not end in .pt or .pth" in sentence) == refused
    assert ("give another ending, as -o" in sentence) == refused
