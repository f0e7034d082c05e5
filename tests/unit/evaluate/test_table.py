"""Error tables: one row per group, the same number of cells everywhere, and narrow enough."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from mhff.evaluate.errors import Comparison, group_by_type, grouped
from mhff.evaluate.table import markdown, terminal

TERMINAL_WIDTH = 80
FORCES = (np.zeros((2, 3)), np.ones((2, 3)))
STRESS = (np.zeros((3, 3)), np.ones((3, 3)))


def test_markdown() -> None:
    comparison = Comparison(
        "a", "x", np.array([0, 1]), energy=(-4.0, -3.9), forces=None, stress=None
    )
    lines = markdown(grouped([comparison], group_by_type), ["head", "config type"]).splitlines()
    assert lines[2] == "| a | x | 1 | 2 | 50.0 | - | 0 | - | 0 |"
    assert len({line.count("|") for line in lines}) == 1


def test_a_table_fits_into_a_terminal() -> None:
    item = Comparison("materials", "MgO_rocksalt", np.array([0, 1]), (-4.0, -3.9), FORCES, None)
    screen = io.StringIO()
    table = terminal(grouped([item], group_by_type), ["head", "config type"], "errors")
    Console(file=screen, width=TERMINAL_WIDTH).print(table)
    assert "\N{HORIZONTAL ELLIPSIS}" not in screen.getvalue()
    assert "1000.0" in screen.getvalue()
    assert "stress" not in screen.getvalue()
    with_stress = Comparison("a", "x", np.array([0, 1]), (-4.0, -3.9), FORCES, STRESS)
    screen = io.StringIO()
    table = terminal(grouped([with_stress], group_by_type), ["head", "config type"], "errors")
    Console(file=screen, width=2 * TERMINAL_WIDTH).print(table)
    assert "meV/A^3" in screen.getvalue()
