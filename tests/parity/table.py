"""Writes table.md beside this file: deviations from mace-torch for every value of every option.

.venv/bin/python tests/parity/table.py
"""

from __future__ import annotations

import datetime
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for what the tests share

import torch
from cases import CASES, OPTIONS
from compare import DTYPES, QUANTITIES, Deviation, deviations
from environment import HERE

TABLE = HERE / "table.md"
HEADINGS = {"energy": "energy", "energies": "per atom", "forces": "forces", "stress": "stress"}
NOTES = """\
Written by `tests/parity/table.py`. A triple is one model, one structure and one of the model's
heads. Every number is the largest error of mhff against mace-torch in float64, relative to what the
docstring of `compare.py` says; the last column is mace-torch's own in float32, forces. A case
counts for one value of every option; a dash stands for a model of one layer, to which the option
means nothing. With Chebyshev polynomials forces and stress are compared with finite differences.
"""


def peer_version(package: str) -> str:
    """Version of a package in the peer environment."""
    lines = (HERE / "constraints.txt").read_text().splitlines()
    return next(line.split("==")[1] for line in lines if line.startswith(f"{package}=="))


def triples(found: Iterable[Deviation]) -> int:
    """Number of different (case, structure, head)."""
    return len({(d.case, d.structure, d.head) for d in found})


def worst(values: Iterable[float]) -> str:
    """The largest, in two digits."""
    values = list(values)
    return f"{max(values):.0e}" if values else "none"


def row(title: str, found: list[Deviation]) -> str:
    """One line of the table."""
    cells = [title, str(triples(found))]
    for dtype in DTYPES:
        cells += [
            worst(d.relative for d in found if (d.dtype, d.quantity) == (dtype, name))
            for name in QUANTITIES
        ]
    cells.append(
        worst(d.peer_relative for d in found if (d.dtype, d.quantity) == ("float32", "forces"))
    )
    return f"| {' | '.join(cells)} |"


def title(option: str, value: Any) -> str:
    """An option's value, as the first column shows it."""
    if value is None:
        return f"{option}: -"
    if isinstance(value, tuple):
        return f"{option}: {' '.join(str(item) for item in value)}"
    return f"{option}: {value if value != '' else '(plain)'}"


def table() -> str:
    """The whole file."""
    found = [d for case in CASES for d in deviations(case)]
    versions = (
        f"mace-torch {peer_version('mace-torch')} with e3nn {peer_version('e3nn')}, mhff "
        f"{version('mhff')} with e3nn"
    )
    versions += (
        f" {version('e3nn')}; torch {torch.__version__}, {platform.machine()}, "
        f"{datetime.date.today()}"
    )
    columns = [
        "option",
        "triples",
        *HEADINGS.values(),
        *(f"{name} f32" for name in HEADINGS.values()),
        "mace-torch f32",
    ]
    lines = ["# mhff against mace-torch", "", f"{versions}.", "", NOTES]
    lines += [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}", row("**all**", found)]
    for option, values in OPTIONS.items():
        for value in values:
            chosen = [d for d in found if CASES[d.case].options[option] == value]
            lines.append(row(title(option, value), chosen))
    for structure in dict.fromkeys(d.structure for d in found):
        lines.append(row(f"structure: {structure}", [d for d in found if d.structure == structure]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    TABLE.write_text(table())
    print(f"wrote {TABLE}")
