"""The figure of a benchmark: time per atom against the number of atoms, and what it must be at least."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from mhff.bench.engines import MATRIX_PRODUCT
from mhff.bench.report import MICROSECONDS, Report
from mhff.bench.statistics import spread
from mhff.modelfile import write_atomically

COLOURS = ("#2a6f97", "#5b8e55", "#6d597a", "#3aa6a0", "#4f5d75", "#8d6b4f")
PEER_COLOURS = ("#c1666b", "#d98e2b", "#a23b72", "#b5651d")
STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titleweight": "bold"}


def scaling_plot(report: Report, path: Path) -> None:
    """Write a PNG, both axes logarithmic: medians with quartiles of all contenders, the floors as dashed lines."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 5.0), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        draw(report, axes)
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=160)
    write_atomically(path, content.getvalue())


def draw(report: Report, axes: Axes) -> None:
    """The curves of a report."""
    colours = {False: iter(COLOURS * 8), True: iter(PEER_COLOURS * 8)}
    labels = dict.fromkeys(point.contender.label for point in report.points)
    for label in labels:
        points = [point for point in report.points if point.contender.label == label]
        contender = points[0].contender
        if contender.engine == MATRIX_PRODUCT.name:
            continue
        middle = [point.per_atom for point in points]
        errors = [[time.median - time.lower for time in middle], [time.upper - time.median for time in middle]]
        axes.errorbar(
            [point.n_atoms for point in points],
            [time.median for time in middle],
            yerr=errors,
            label=label,
            color=next(colours[contender.peer]),
            marker="s" if contender.peer else "o",
            markersize=4,
            linewidth=1.4,
            capsize=2,
        )
    for index, dtype in enumerate(dict.fromkeys(found.dtype for found in report.floors)):
        floors = [found for found in report.floors if found.dtype == dtype]
        heights = [MICROSECONDS * spread(found.seconds).median / found.n_atoms for found in floors]
        sizes = [found.n_atoms for found in floors]
        axes.plot(sizes, heights, color="0.45", linestyle=("--", ":")[index % 2], label=f"counted floor {dtype}")
    _axes(report, axes)


def _axes(report: Report, axes: Axes) -> None:
    axes.set(xscale="log", yscale="log", xlabel="atoms", ylabel="time per step, µs per atom")
    axes.set_title(report.title)
    axes.set_xticks(sorted(report.neighbours))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.grid(visible=True, which="major", color="0.9", linewidth=0.6)
