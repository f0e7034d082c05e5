"""The figures of a report: learning curves and parity plots, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mhff.data.split import Part
from mhff.evaluate.errors import QUANTITIES, Comparison, Quantity
from mhff.evaluate.plot import COLOURS, STYLE, Points, parity_figure, svg, typeset

PART_COLOURS: Mapping[Part, str] = {"train": "#a3adb8", "valid": "#2a6f97", "test": "#c1666b"}
History = Sequence[Mapping[str, Any]]
MIN_RANGE_OF_LOG_AXIS = 8.0
"""Ratio of the largest to the smallest value above which an axis is logarithmic."""
MAX_MARKED = 30
"""Epochs that are marked one by one."""


def parity(comparisons: Mapping[Part, Sequence[Comparison]], head: str) -> str:
    """Parity plots of one head, the parts in their colours, as SVG."""
    points = [Points(each, PART_COLOURS[part], part) for part, each in comparisons.items()]
    return svg(parity_figure([each.of_head(head) for each in points]))


def curves(history: History) -> str:
    """Losses and learning rate against the epoch, and the best epoch, as SVG."""
    losses = {"training": "train_loss", "validation": "valid_loss"}
    lines = {name: _values(history, key) for name, key in losses.items()}
    figure, (left, middle, right) = _panels(3)
    colours = dict(zip(lines, (PART_COLOURS["train"], PART_COLOURS["valid"]), strict=True))
    _draw(left, lines, colours, "loss")
    left.legend(fontsize=7.5, frameon=False)
    _draw(middle, {"": _values(history, "learning_rate")}, {"": COLOURS[0]}, "learning rate")
    norms = {"": _values(history, "gradient_norm")}
    _draw(right, norms, {"": COLOURS[0]}, "norm of the gradient")
    return svg(figure)


def errors(history: History, heads: Sequence[str]) -> str:
    """Validation errors (MAE) of each head against the epoch, as SVG; empty if there are none."""
    drawn = {}
    for quantity in QUANTITIES:
        lines = {head: _errors(history, head, quantity) for head in heads}
        lines = {head: points for head, points in lines.items() if points}
        if lines:
            drawn[quantity] = lines
    if not drawn:
        return ""
    colours = {head: COLOURS[index % len(COLOURS)] for index, head in enumerate(heads)}
    figure, panels = _panels(len(drawn))
    for axes, (quantity, lines) in zip(panels, drawn.items(), strict=True):
        _draw(axes, lines, colours, f"{quantity.name} MAE, {typeset(quantity.unit)}")
    handles: dict[str, Any] = {}
    for axes in panels:
        named = zip(*axes.get_legend_handles_labels(), strict=True)
        handles |= {str(label): handle for handle, label in named}
    names = [head for head in heads if head in handles]
    legend: Any = {"loc": "outside upper left", "ncols": 6, "frameon": False, "fontsize": 7.5}
    figure.legend([handles[name] for name in names], names, **legend)
    return svg(figure)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.3 * count + 0.2, 2.7), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, list(figure.subplots(1, count, squeeze=False)[0])


Line = list[tuple[int, float]]
"""Epochs and values."""


def _values(history: History, key: str) -> Line:
    """The values of an entry, in the epochs that have one."""
    return [(each["epoch"], each[key]) for each in history if each.get(key) is not None]


def _errors(history: History, head: str, quantity: Quantity) -> Line:
    """A head's validation errors."""
    name = quantity.column("mae")
    return [
        (each["epoch"], each["valid"][head][name])
        for each in history
        if each["valid"].get(head, {}).get(name) is not None
    ]


def _draw(axes: Axes, lines: Mapping[str, Line], colours: Mapping[str, str], label: str) -> None:
    """Lines, on a logarithmic axis if they span much."""
    drawn = {name: line for name, line in lines.items() if line}
    for name, line in drawn.items():
        epochs, heights = zip(*line, strict=True)
        marker = "o" if len(line) <= MAX_MARKED else ""
        style: Any = {"linewidth": 1.4, "marker": marker, "markersize": 3}
        axes.plot(epochs, heights, color=colours[name], label=name, **style)
    values = [value for line in drawn.values() for _, value in line]
    if values and max(values) > MIN_RANGE_OF_LOG_AXIS * min(values) > 0:
        axes.set_yscale("log")
    axes.set(xlabel="epoch", title=label)
    axes.title.set_fontsize(9)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(alpha=0.25, linewidth=0.6, which="both")
