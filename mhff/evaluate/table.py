"""Error tables: as Markdown, as JSON, on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from mhff.evaluate.errors import Errors

COLUMNS = (
    "structures",
    "atoms",
    "energy, meV/atom",
    "forces, meV/A",
    "components",
    "stress, meV/A^3",
    "structures",
)
"""Headings behind those of a group's name: mean absolute errors and the numbers of values."""


def cells(errors: Errors) -> list[str]:
    """The row of a group of structures."""
    stress = _number(errors.stress, 2)
    counts = [str(errors.structures), str(errors.atoms)]
    forces = [_number(errors.forces, 1), str(errors.force_components)]
    energy = _number(errors.energy, 1)
    return [*counts, energy, *forces, stress, str(errors.stress_structures)]


def _narrow(heading: str) -> str:
    """A heading in two lines, so that a table fits into 80 columns."""
    return heading.replace(", ", "\n").replace("components", "compo-\nnents")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def markdown(rows: Mapping[tuple[str, ...], Errors], names: Sequence[str]) -> str:
    """A Markdown table of mean absolute errors; `names` head the columns of the groups' names."""
    header = [*names, *COLUMNS]
    lines = [header, [*["---"] * len(names), *["---:"] * len(COLUMNS)]]
    lines += [[*group, *cells(errors)] for group, errors in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def terminal(rows: Mapping[tuple[str, ...], Errors], names: Sequence[str], title: str) -> Table:
    """The same table for the terminal, without the stress columns if there is no stress."""
    columns = COLUMNS if any(errors.stress_structures for errors in rows.values()) else COLUMNS[:-2]
    table = Table(title=title, box=box.SIMPLE, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    for column in columns:
        table.add_column(_narrow(column), justify="right")
    for group, errors in rows.items():
        table.add_row(*group, *cells(errors)[: len(columns)])
    return table
