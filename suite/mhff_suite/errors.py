"""Errors of predictions as values and parity plots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mhff_suite.outcome import Curves, Line, Parity, Value


def mean_absolute_error(
    quantity: str,
    unit: str,
    reference: Sequence[float] | np.ndarray,
    predicted: Sequence[float] | np.ndarray,
    target: float,
) -> Value:
    """The MAE of a quantity."""
    errors = np.abs(np.asarray(predicted) - np.asarray(reference))
    return Value(quantity=f"{quantity} MAE", value=float(errors.mean()), unit=unit, target=target)


def parity(
    title: str,
    unit: str,
    names: Sequence[str],
    reference: Sequence[float] | np.ndarray,
    predicted: Sequence[float] | np.ndarray,
) -> Parity:
    """A parity plot; the worst points are named."""
    return Parity(
        title=title,
        unit=unit,
        names=tuple(names),
        reference=tuple(np.asarray(reference, dtype=float).tolist()),
        predicted=tuple(np.asarray(predicted, dtype=float).tolist()),
    )


def line(
    label: str,
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    is_reference: bool = False,
) -> Line:
    """A curve."""
    return Line(
        label=label,
        x=tuple(np.asarray(x, dtype=float).tolist()),
        y=tuple(np.asarray(y, dtype=float).tolist()),
        is_reference=is_reference,
    )


def curves(title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> Curves:
    """Curves in one panel."""
    return Curves(title=title, x_label=x_label, y_label=y_label, lines=tuple(lines))


def share(
    quantity: str, wrong: Sequence[str], total: int, sentence: str, tolerance: float = 1.0
) -> Value:
    """The percentage of `total` cases that go wrong; see `law`."""
    return law(quantity, 100 * len(wrong) / total, "%", tolerance, sentence)


def element_counts(structures: Sequence[Atoms]) -> np.ndarray:
    """Numbers of atoms `[n, n_elements]` of each element in n structures."""
    symbols = sorted({symbol for atoms in structures for symbol in atoms.symbols})
    return np.array([[list(atoms.symbols).count(each) for each in symbols] for atoms in structures])


def law(quantity: str, value: float, unit: str, tolerance: float, sentence: str) -> Value:
    """A number that a physical law bounds; the sentence says what is wrong if it is larger."""
    return Value(
        quantity=quantity, value=float(value), unit=unit, target=tolerance, sentence=sentence
    )
