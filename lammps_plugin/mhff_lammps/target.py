"""The target of `mhff compile --target lammps`: an artefact in the one file that LAMMPS loads."""

from __future__ import annotations

import pickle
from pathlib import Path

from mhff.errors import MHFFError
from mhff_deploy.targets import Target
from mhff_lammps.model import MHFFModel

PICKLE_PROTOCOL = 4
"""Any Python that mhff runs on reads it, and it stores bytes as they are."""
NAMES_OF_TORCH = (".pt", ".pth")
"""Endings that make LAMMPS read a file with torch.load, which refuses an ordinary pickle."""


def wrap(artefact: bytes) -> bytes:
    """The pickle of an artefact's content."""
    return pickle.dumps(MHFFModel(artefact), protocol=PICKLE_PROTOCOL)


def check_output(output: str) -> None:
    """Refuse a name that LAMMPS would read with torch.load."""
    name = Path(output).name
    if name.endswith(NAMES_OF_TORCH):
        raise MHFFError(
            "expected a file name that does not end in .pt or .pth, which LAMMPS takes for files "
            f"of torch, got '{name}'; "
            f"give another ending, as -o {Path(output).with_suffix('.mliap')}"
        )


LAMMPS = Target("lammps", ("aoti", "torchscript"), wrap=wrap, check_output=check_output)
