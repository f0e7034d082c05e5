"""The figure of a benchmark: time per atom against the number of atoms, and the counted floors."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from mhff.files import write_atomically
from mhff_bench.report_table import shown, title

COLOURS = ("#2a6f97", "#5b8e55", "#6d597a", "#3aa6a0", "#4f5d75", "#8d6b4f")
PEER_COLOURS = ("#c1666b", "#d98e2b", "#a23b72", "#b5651d")
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
}


def scaling_plot(report: Mapping[str, Any], path: Path) -> None:
    """Write a PNG with logarithmic axes: medians and quartiles of contenders, floors dashed."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        draw(report, axes)
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=160)
    write_atomically(path, content.getvalue())


def draw(report: Mapping[str, Any], axes: Axes) -> None:
    """The curves of a report."""
    colours = {False: iter(COLOURS * 8), True: iter(PEER_COLOURS * 8)}
    for label, contender in shown(report).items():
        peer = bool(contender["peer"])
        points = [point for point in report["points"] if point["contender"] == label]
        times = [point["microseconds_per_atom"] for point in points]
        axes.errorbar(
            [point["atoms"] for point in points],
            [time["median"] for time in times],
            yerr=[
                [time["median"] - time["lower"] for time in times],
                [time["upper"] - time["median"] for time in times],
            ],
            label=label,
            color=next(colours[peer]),
            marker="s" if peer else "o",
            markersize=4,
            linewidth=1.4,
            capsize=2,
        )
    kinds = dict.fromkeys((found["dtype"], found["threads"]) for found in report["floors"])
    for index, (dtype, threads) in enumerate(kinds):
        floors = [
            found
            for found in report["floors"]
            if (found["dtype"], found["threads"]) == (dtype, threads)
        ]
        axes.plot(
            [found["atoms"] for found in floors],
            [found["microseconds_per_atom"] for found in floors],
            color="0.45",
            linestyle=("--", ":", "-.")[index % 3],
            label=f"counted floor {dtype}"
            if threads == 1
            else f"counted floor {dtype}, {threads} threads",
        )
    _axes(report, axes)


def _axes(report: Mapping[str, Any], axes: Axes) -> None:
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="atoms",
        ylabel="time per step, µs per atom",
        title=title(report),
    )
    axes.set_xticks(sorted(int(n_atoms) for n_atoms in report["neighbours_per_atom"]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.grid(visible=True, which="major", color="0.9", linewidth=0.6)
