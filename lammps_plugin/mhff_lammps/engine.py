"""LAMMPS as an engine of mhff: its compile target and its benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mhff.engines import Engine, Steps, Target
from mhff.errors import MHFFError
from mhff.options import Form
from mhff_lammps.filekind import wrap

TORCH_SUFFIXES = (".pt", ".pth")
"""File names with these endings make LAMMPS call torch.load, which refuses an ordinary pickle."""


def check_output(output: str) -> None:
    """Raise MHFFError for a file name that LAMMPS would read with torch.load."""
    name = Path(output).name
    if name.endswith(TORCH_SUFFIXES):
        raise MHFFError(
            "expected a file name that does not end in .pt or .pth, which LAMMPS takes for files "
            f"of torch, got '{name}'; "
            f"give another ending, as -o {Path(output).with_suffix('.mliap')}"
        )


def bench(options: Mapping[str, Any]) -> Steps:
    """Steps of dynamics in LAMMPS."""
    from mhff_lammps.bench import Lammps

    return Lammps(options)


LAMMPS = Engine(
    "lammps",
    Target((Form.AOTI, Form.TORCHSCRIPT), wrap, check_output),
    forms=(Form.AOTI, Form.TORCHSCRIPT),
    bench=bench,
)
