"""Parity plots: predictions against labels, a column of panels per head."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mhff.evaluate.errors import Comparison, errors
from mhff.files import write_atomically

COLOURS = ("#2a6f97", "#c1666b", "#5b8e55", "#b58a2c", "#6d597a", "#4f5d75")
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
}


def parity_plot(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write a PNG: energies per atom above, force components below, one column per head.

    Energies are relative to a fit by composition; see `_relative_energies`.
    """
    heads = list(dict.fromkeys(item.head for item in comparisons))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * len(heads) + 0.4, 6.8), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, len(heads), squeeze=False)
        for column, head in enumerate(heads):
            members = [item for item in comparisons if item.head == head]
            colour = COLOURS[column % len(COLOURS)]
            axes[0, column].set_title(head)
            _energy_panel(axes[0, column], members, colour)
            _force_panel(axes[1, column], members, colour)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=160)
    write_atomically(path, content.getvalue())


def _energy_panel(axes: Axes, members: Sequence[Comparison], colour: str) -> None:
    members = [item for item in members if item.energy is not None]
    if not members:
        axes.set_axis_off()
        return
    mean = errors(members)
    caption = f"MAE {mean.energy:.1f} meV/atom\n{mean.structures} structures"
    _panel(axes, _relative_energies(members), colour, caption)
    axes.set(xlabel="reference energy minus composition fit, eV/atom", ylabel="predicted, eV/atom")


def _force_panel(axes: Axes, members: Sequence[Comparison], colour: str) -> None:
    mean = errors(members)
    if mean.forces is None:
        axes.set_axis_off()
        return
    pairs = [item.forces for item in members if item.forces is not None]
    labels = np.concatenate([label.ravel() for label, _ in pairs])
    predictions = np.concatenate([prediction.ravel() for _, prediction in pairs])
    caption = f"MAE {mean.forces:.0f} meV/Å\n{mean.force_components} components"
    _panel(axes, (labels, predictions), colour, caption)
    axes.set(xlabel="reference force component, eV/Å", ylabel="predicted, eV/Å")


def _relative_energies(members: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """Energies per atom, eV, minus a least-squares fit of the labels by composition.

    Total energies differ by hundreds of eV between compositions, which would hide every error.
    """
    n_species = max(item.species.max() for item in members) + 1
    counts = np.array([np.bincount(item.species, minlength=n_species) for item in members])
    n_atoms = counts.sum(1, keepdims=True)
    energies = np.array([item.energy for item in members]) / n_atoms
    fractions = counts / n_atoms
    fit = fractions @ np.linalg.lstsq(fractions, energies[:, 0])[0]
    return energies[:, 0] - fit, energies[:, 1] - fit


def _panel(axes: Axes, pairs: tuple[np.ndarray, np.ndarray], colour: str, caption: str) -> None:
    """One scatter plot of labels and predictions with its diagonal."""
    labels, predictions = pairs
    low = min(labels.min(), predictions.min())
    high = max(labels.max(), predictions.max())
    margin = 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color="#999999", linewidth=0.8, zorder=1)
    axes.scatter(labels, predictions, s=11, color=colour, alpha=0.5, linewidths=0, zorder=2)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    axes.text(0.04, 0.96, caption, transform=axes.transAxes, va="top", fontsize=8)
