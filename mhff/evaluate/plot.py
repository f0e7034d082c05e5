"""Parity plots: predictions against labels, a row of panels per head."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mhff.evaluate.errors import QUANTITIES, Comparison, Quantity, errors
from mhff.files import write_atomically

COLOURS = ("#2a6f97", "#c1666b", "#5b8e55", "#b58a2c", "#6d597a", "#4f5d75")
"""Colours of heads."""
PANEL_SIZE = 3.3
"""Width and height of a panel, inches."""
DOTS_PER_INCH = 160
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "svg.fonttype": "none",
    "svg.hashsalt": "mhff",
}
"""Style of all figures; text stays text in SVG, and the same figure gives the same file."""


@dataclass(frozen=True)
class Points:
    """Structures that are drawn in one colour."""

    comparisons: Sequence[Comparison]
    colour: str
    label: str = ""
    """What they are, for the legend."""

    def of_head(self, head: str) -> Points:
        """Those of one head."""
        members = [item for item in self.comparisons if item.head == head]
        return Points(members, self.colour, self.label)


def parity_plot(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write a picture: SVG or PDF if `path` ends so, else PNG; each head has its colour."""
    heads = list(dict.fromkeys(item.head for item in comparisons))
    points = [
        Points(comparisons, COLOURS[row % len(COLOURS)]).of_head(head)
        for row, head in enumerate(heads)
    ]
    kind = path.suffix.removeprefix(".").lower()
    write_atomically(
        path, picture(parity_figure(points), kind if kind in ("svg", "pdf") else "png")
    )


def picture(figure: Figure, kind: str) -> bytes:
    """The content of a file of this kind: png, svg or pdf."""
    content = io.BytesIO()
    dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with mpl.rc_context(STYLE):
        figure.savefig(content, format=kind, dpi=DOTS_PER_INCH, metadata=dated.get(kind))
    return content.getvalue()


def svg(figure: Figure) -> str:
    """A figure for a page of HTML: the element alone."""
    text = picture(figure, "svg").decode()
    return text[text.index("<svg") :]


def parity_figure(points: Sequence[Points]) -> Figure:
    """Energies per atom, force and stress components, with labels of each in columns.

    Energies are relative to a fit by composition; see `_energies`.
    """
    comparisons = [item for each in points for item in each.comparisons]
    heads = list(dict.fromkeys(item.head for item in comparisons))
    columns = [each for each in QUANTITIES if errors(comparisons).of(each) is not None]
    with mpl.rc_context(STYLE):
        size = (PANEL_SIZE * len(columns) + 0.2, PANEL_SIZE * len(heads) + 0.2)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(heads), len(columns), squeeze=False)
        for row, head in enumerate(heads):
            of_head = [each.of_head(head) for each in points]
            for column, quantity in enumerate(columns):
                _panel(axes[row, column], quantity, [each for each in of_head if each.comparisons])
            axes[row, 0].set_title(head, loc="left")
    return figure


def _panel(axes: Axes, quantity: Quantity, points: Sequence[Points]) -> None:
    """One scatter plot of labels and predictions with its diagonal."""
    series = VALUES[quantity.field]([each.comparisons for each in points])
    drawn = [(each, pairs) for each, pairs in zip(points, series, strict=True) if pairs.size]
    if not drawn:
        axes.set_axis_off()
        return
    everything = np.concatenate([pairs.ravel() for _, pairs in drawn])
    low = float(everything.min())
    high = float(everything.max())
    margin = 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color="#999999", linewidth=0.8, zorder=1)
    for each, (labels, predictions) in drawn:
        size = errors(each.comparisons).of(quantity)
        name = f"{each.label}: " if each.label else ""
        legend = (
            f"{name}MAE {size.mae:.{quantity.digits}f} {typeset(quantity.unit)}" if size else name
        )
        dots: Any = {"s": 11, "color": each.colour, "alpha": 0.5, "linewidths": 0}
        axes.scatter(labels, predictions, **dots, rasterized=True, label=legend, zorder=2)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set(xlabel=f"reference {AXES[quantity.field]}", ylabel=f"predicted {AXES[quantity.field]}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.label.set_fontsize(8)
    legend_style: Any = {"fontsize": 7.5, "frameon": False, "handletextpad": 0.1}
    axes.legend(loc="upper left", borderaxespad=0.1, **legend_style)


def typeset(unit: str) -> str:
    """A unit with the letter Å and raised digits."""
    return unit.replace("A^3", "Å³").replace("/A", "/Å")


def _energies(groups: Sequence[Sequence[Comparison]]) -> list[np.ndarray]:
    """Energies per atom, eV, minus a least-squares fit of the labels by composition.

    Total energies differ by hundreds of eV between compositions, which would hide every error.
    """
    kept = [[item for item in group if item.energy is not None] for group in groups]
    members = [item for group in kept for item in group]
    if not members:
        return [np.empty((2, 0)) for _ in groups]
    n_species = max(item.species.max() for item in members) + 1
    counts = np.array([np.bincount(item.species, minlength=n_species) for item in members])
    n_atoms = counts.sum(1, keepdims=True)
    energies = np.array([item.energy for item in members]) / n_atoms
    fractions = counts / n_atoms
    relative = energies - (fractions @ np.linalg.lstsq(fractions, energies[:, 0])[0])[:, None]
    return np.split(relative.T, np.cumsum([len(group) for group in kept])[:-1], axis=1)


def _forces(groups: Sequence[Sequence[Comparison]]) -> list[np.ndarray]:
    """Force components, eV/A: labels and predictions."""
    return [
        _joined(np.reshape(item.forces, (2, -1)) for item in group if item.forces is not None)
        for group in groups
    ]


def _stresses(groups: Sequence[Sequence[Comparison]]) -> list[np.ndarray]:
    """Six stress components per structure, meV/A^3: labels and predictions."""
    rows, columns = np.triu_indices(3)
    return [
        _joined(
            1e3 * np.array(item.stress)[:, rows, columns]
            for item in group
            if item.stress is not None
        )
        for group in groups
    ]


def _joined(pairs: Iterable[np.ndarray]) -> np.ndarray:
    """Labels and predictions side by side, `[2, n]`."""
    return np.hstack([np.empty((2, 0)), *pairs])


VALUES: dict[str, Callable[[Sequence[Sequence[Comparison]]], list[np.ndarray]]] = {
    "energy": _energies,
    "forces": _forces,
    "stress": _stresses,
}
"""Labels and predictions `[2, n]` of groups of structures, by quantity."""
AXES: Mapping[str, str] = {
    "energy": "energy minus composition fit, eV/atom",
    "forces": "force component, eV/Å",
    "stress": "stress component, meV/Å³",
}
