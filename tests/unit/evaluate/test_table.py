"""Tables: rows and columns that fit, values that are kept, and widths for a terminal."""

from __future__ import annotations

import csv
import io

import numpy as np
from rich.console import Console

from mhff.evaluate.errors import Comparison, group_by_type, grouped
from mhff.evaluate.table import Column, Table, error_table, text_column

TERMINAL_WIDTH = 80
NAMES = ["head", "config type"]
FORCES = (np.zeros((2, 3)), np.ones((2, 3)))
STRESS = (np.zeros((3, 3)), np.ones((3, 3)))
BARE = Comparison("a", "x", np.array([0, 1]), energy=(-4.0, -3.9), forces=None, stress=None)
LONG = Comparison("materials", "MgO_rocksalt", np.array([0, 1]), (-4.0, -3.9), FORCES, None)
FULL = Comparison("a", "x", np.array([0, 1]), (-4.0, -3.9), FORCES, STRESS)


def errors_of(*comparisons: Comparison) -> Table:
    return error_table(grouped(comparisons, group_by_type), NAMES)


def shown(table: Table) -> str:
    screen = io.StringIO()
    table.brief().show(Console(file=screen, width=TERMINAL_WIDTH), "errors")
    return screen.getvalue()


def test_markdown() -> None:
    lines = errors_of(BARE).brief().markdown().splitlines()
    assert lines[0] == "| head | config type | structures | atoms | energy MAE, meV/atom | RMSE |"
    assert lines[1] == "| --- | --- | ---: | ---: | ---: | ---: |"
    assert lines[2] == "| a | x | 1 | 2 | 50.0 | 50.0 |"


def test_a_count_is_shown_when_it_is_not_the_usual_one() -> None:
    without_energy = Comparison("a", "y", np.array([0]), None, FORCES, None)
    headings = [column.heading for column in errors_of(BARE, without_energy).brief().columns]
    assert "with energy" in headings
    assert "with energy" not in [column.heading for column in errors_of(BARE).brief().columns]
    assert "with stress" in [column.heading for column in errors_of(BARE, FULL).brief().columns]


def test_csv_keeps_every_digit_and_every_column() -> None:
    value = 1 / 3
    table = Table(
        (text_column("config type"), Column("mae", "MAE", 1)), (("a,b", value), ("c", None))
    )
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert rows == [{"config_type": "a,b", "mae": repr(value)}, {"config_type": "c", "mae": ""}]
    (row,) = csv.DictReader(io.StringIO(errors_of(BARE).csv()))
    assert row["force_mae_meV_per_A"] == ""
    assert row["stress_structures"] == "0"


def test_a_table_fits_into_a_terminal() -> None:
    text = shown(errors_of(LONG))
    assert max(map(len, text.splitlines())) <= TERMINAL_WIDTH
    assert "1000.0" in text
    assert "stress" not in text


def test_a_wide_table_keeps_its_digits() -> None:
    """Numbers lost their ends in a terminal that was too narrow."""
    text = shown(errors_of(LONG, FULL))
    assert max(map(len, text.splitlines())) > TERMINAL_WIDTH
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert "meV/A^3" in text
    assert "1000.00" in text


def test_names_are_not_markup() -> None:
    table = Table((text_column("head"),), (("[bold]",),))
    assert "[bold]" in shown(table)
