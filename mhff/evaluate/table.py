"""Tables: on the terminal, as Markdown, as CSV; and the table of errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich import table as rich_table
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.segment import Segments

from mhff.evaluate.errors import QUANTITIES, Errors, Quantity

MAX_WIDTH = 1000
"""Columns of a terminal that any table fits into."""
Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    """Its name in CSV."""
    heading: str
    """Its heading for people."""
    digits: int | None = None
    """Decimals of numbers for people; None for text and whole numbers."""
    is_text: bool = False
    signed: bool = False
    """Whether positive numbers have a sign."""
    usual: str | None = None
    """Name of another column that has the same values unless there is something to say."""

    def cell(self, value: Value) -> str:
        """A value for people."""
        if value is None:
            return "-"
        if self.digits is None or isinstance(value, str):
            return str(value)
        rounded = round(value, self.digits) + 0.0  # never -0
        return f"{rounded:{'+' if self.signed and rounded else ''}.{self.digits}f}"


@dataclass(frozen=True)
class Table:
    """Values in rows and columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    def cells(self) -> list[list[str]]:
        """The rows for people."""
        return [
            [column.cell(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    def brief(self) -> Table:
        """The table without columns that are empty, count nothing, or say what is usual."""
        kept = [index for index in range(len(self.columns)) if self._says_something(index)]
        return Table(
            tuple(self.columns[index] for index in kept),
            tuple(tuple(row[index] for index in kept) for row in self.rows),
        )

    def _says_something(self, index: int) -> bool:
        column = self.columns[index]
        values = self._values(column.name)
        if column.usual is not None and values == self._values(column.usual):
            return False
        return column.is_text or not all(map(_is_empty, values))

    def _values(self, name: str) -> list[Value]:
        """The values of a column."""
        index = [column.name for column in self.columns].index(name)
        return [row[index] for row in self.rows]

    def markdown(self) -> str:
        """The table in Markdown."""
        rule = ["---" if column.is_text else "---:" for column in self.columns]
        lines = [[column.heading for column in self.columns], rule, *self.cells()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def csv(self) -> str:
        """The table with the names of its columns in the first line; missing values are empty."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.name for column in self.columns])
        writer.writerows(self.rows)
        return stream.getvalue()

    def show(self, console: Console, title: str) -> None:
        """Print the table, wider than the terminal if need be: a number without its end is none."""
        drawn = rich_table.Table(title=title, box=box.SIMPLE, padding=(0, 1, 0, 0), show_edge=False)
        for column in self.columns:
            if column.is_text:
                drawn.add_column(column.heading, no_wrap=True)
            else:
                drawn.add_column(_narrow(column.heading), justify="right", no_wrap=True)
        for cells in self.cells():
            drawn.add_row(*map(escape, cells))
        options = console.options.update(width=MAX_WIDTH)
        width = Measurement.get(console, options, drawn).maximum
        segments = console.render(drawn, options.update(width=max(width, len(title))))
        console.print(Segments(segments), soft_wrap=True)
        console.print()


def text_column(heading: str) -> Column:
    """A column of text."""
    return Column(heading.replace(" ", "_"), heading, is_text=True)


def error_table(groups: Mapping[tuple[str, ...], Errors], names: Sequence[str]) -> Table:
    """A row per group of structures; `names` head the columns of the groups' names."""
    contents = {group: errors.as_dict() for group, errors in groups.items()}
    rows = [
        (*group, *(content[column.name] for column in ERROR_COLUMNS))
        for group, content in contents.items()
    ]
    return Table((*map(text_column, names), *ERROR_COLUMNS), tuple(rows))


def _error_columns(quantity: Quantity) -> Iterator[Column]:
    """MAE, RMSE and number of values of one quantity."""
    heading = f"{quantity.name} MAE, {quantity.unit}"
    yield Column(quantity.column("mae"), heading, quantity.digits)
    yield Column(quantity.column("rmse"), "RMSE", quantity.digits)
    usual = "structures" if quantity.count_name.endswith("_structures") else None
    yield Column(quantity.count_name, quantity.count_heading, usual=usual)


ERROR_COLUMNS = (
    Column("structures", "structures"),
    Column("atoms", "atoms"),
    *(column for quantity in QUANTITIES for column in _error_columns(quantity)),
)
"""The columns of an error table behind the names of its groups."""


def _is_empty(value: Value) -> bool:
    """Whether there is no value, or a count of nothing."""
    return value is None or (isinstance(value, int) and value == 0)


def _narrow(heading: str) -> str:
    """A heading in several lines, so that a table fits into 80 columns."""
    lines = heading.replace(", ", "\n").replace(" ", "\n")
    return lines.replace("components", "compo-\nnents").replace("structures", "struc-\ntures")
