"""Figures of a report, as SVG: panels of all heads side by side, and a radar over domains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from mhff.evaluate.plot import COLOURS, STYLE, svg, typeset
from mhff_suite.outcome import Curves, Drawing, Parity
from mhff_suite.protocol import Domain

PANEL = (3.4, 2.9)
"""Width and height of a panel, inches."""
MAX_COLUMNS = 3
MAX_LABELLED = 8
"""Number of lines up to which a panel has a legend."""
REFERENCE_COLOUR = "#8a939c"
MAX_DRAWN_AS_SHAPES = 150
"""Points up to which a parity plot keeps each as a shape of its own."""
MAX_NAMED = 3
"""Points of a parity plot, the worst ones, that are named."""


def panels(drawings: Mapping[str, Drawing]) -> str:
    """One kind of figure of a task, with a panel for each head."""
    n_columns = min(MAX_COLUMNS, len(drawings))
    n_rows = -(-len(drawings) // n_columns)
    with _figure(PANEL[0] * n_columns, PANEL[1] * n_rows) as figure:
        axes = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
        for index, (head, drawing) in enumerate(drawings.items()):
            if isinstance(drawing, Parity):
                _parity(axes[index], drawing, COLOURS[index % len(COLOURS)])
            else:
                _curves(axes[index], drawing)
            axes[index].set_title(head, loc="left", fontsize=9)
        for unused in axes[len(drawings) :]:
            unused.set_axis_off()
        return svg(figure)


def radar(scores: Mapping[str, Mapping[Domain, float]]) -> str:
    """Mean scores of several heads over the domains that at least one of them has."""
    domains = [domain for domain in Domain if any(domain in each for each in scores.values())]
    angles = 2 * np.pi * np.arange(len(domains)) / len(domains)
    with _figure(6.2, 4.6) as figure:
        axes: Any = figure.add_subplot(projection="polar")
        axes.set_theta_offset(np.pi / 2)
        axes.set_theta_direction(-1)
        for index, (head, each) in enumerate(scores.items()):
            heights = [each.get(domain, 0.0) for domain in domains]
            colour = COLOURS[index % len(COLOURS)]
            closed = (np.append(angles, angles[0]), [*heights, heights[0]])
            axes.plot(*closed, color=colour, linewidth=1.6, label=head)
            axes.fill(*closed, color=colour, alpha=0.10)
        axes.set_xticks(angles, [domain.replace(" ", "\n") for domain in domains], fontsize=8)
        axes.set_ylim(0, 1)
        axes.set_yticks([0.25, 0.5, 0.75, 1.0], ["", "target", "", "exact"], fontsize=7)
        axes.grid(color="#d5dbe1", linewidth=0.7)
        axes.spines["polar"].set_visible(False)
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        # the layout does not count the labels around a polar plot
        figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0.07, 0.03, 0.93, 0.94)))
        return svg(figure)


def _parity(axes: Axes, drawing: Parity, colour: str) -> None:
    reference = np.array(drawing.reference)
    predicted = np.array(drawing.predicted)
    low = float(min(reference.min(), predicted.min()))
    high = float(max(reference.max(), predicted.max()))
    margin = 0.06 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=REFERENCE_COLOUR, linewidth=0.8, zorder=1)
    dots: Any = {"s": 13, "color": colour, "alpha": 0.6, "linewidths": 0}
    axes.scatter(
        reference, predicted, **dots, zorder=2, rasterized=len(reference) > MAX_DRAWN_AS_SHAPES
    )
    worst = np.argsort(-abs(predicted - reference))[:MAX_NAMED]
    for index in worst if drawing.names else ():
        place = (reference[index], predicted[index])
        axes.annotate(drawing.names[index], place, (3, 3), textcoords="offset points", fontsize=6)
    unit = typeset(drawing.unit)
    error = f"MAE {np.abs(predicted - reference).mean():.3g} {unit}"
    axes.text(0.97, 0.04, error, transform=axes.transAxes, fontsize=7.5, ha="right")
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set_xlabel(f"reference, {unit}", fontsize=8)
    axes.set_ylabel(f"predicted, {unit}", fontsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))


def _curves(axes: Axes, drawing: Curves) -> None:
    ours = [line for line in drawing.lines if not line.is_reference]
    colours: Sequence[Any] = COLOURS
    if len(ours) > len(COLOURS):
        colours = list(mpl.colormaps["turbo"](np.linspace(0.05, 0.92, len(ours))))
    position = {line.label: index for index, line in enumerate(ours)}
    for line in drawing.lines:
        style: Any = {"linewidth": 1.2, "color": REFERENCE_COLOUR, "linestyle": "--"}
        if not line.is_reference:
            style |= {"color": colours[position[line.label]], "linestyle": "-"}
        axes.plot(line.x, line.y, **style, label=line.label)
    axes.set_xlabel(typeset(drawing.x_label), fontsize=8)
    axes.set_ylabel(typeset(drawing.y_label), fontsize=8)
    if drawing.ticks:
        places, names = zip(*drawing.ticks, strict=True)
        axes.set_xticks(places, names)
        axes.set_xlim(places[0], places[-1])
        for place in places:
            axes.axvline(place, color="#d5dbe1", linewidth=0.7, zorder=0)
    if drawing.y_limits is not None:
        axes.set_ylim(*drawing.y_limits)
    labels = dict.fromkeys(line.label for line in drawing.lines)
    if len(labels) <= MAX_LABELLED:
        handles, found = axes.get_legend_handles_labels()
        named = dict(zip(reversed(found), reversed(handles), strict=True))
        axes.legend([named[label] for label in labels], list(labels), fontsize=6.5, frameon=False)
    axes.grid(alpha=0.25, linewidth=0.6)


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def titles(drawings: Mapping[str, Sequence[Drawing]]) -> list[str]:
    """The titles of a task's figures, in order."""
    return list(dict.fromkeys(each.title for group in drawings.values() for each in group))
