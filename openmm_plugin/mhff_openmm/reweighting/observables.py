"""Observables that a user gives, a value for each frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from openmm import unit

from mhff.errors import MHFFError
from mhff_openmm.reweighting.estimates import Estimate
from mhff_openmm.theory.samples import in_units


@dataclass(frozen=True)
class Observable:
    """Values `[n_frames]` in units, or plain numbers."""

    values: np.ndarray
    units: unit.Unit | None

    def estimate(self, value: float, error: float) -> Estimate:
        """An average and its error in the observable's units."""
        if self.units is None:
            return Estimate(float(value), float(error))
        return Estimate(float(value) * self.units, float(error) * self.units)


def observables_of(given: Mapping[str, Any], n_frames: int) -> dict[str, Observable]:
    """Observables by name.

    Raises MHFFError for another number of values than frames, and for values that are not finite.
    """
    if not isinstance(given, Mapping):
        raise MHFFError(
            f"expected observables by name, got {type(given).__name__}; write "
            "observables={'r': values}"
        )
    observables = {}
    for name, values in given.items():
        units = values.unit if unit.is_quantity(values) else None
        numbers = in_units(values, units or unit.dimensionless, f"the observable '{name}'")
        if numbers.shape != (n_frames,):
            raise MHFFError(
                f"expected one value of the observable '{name}' for each of the {n_frames} frames, "
                f"got the shape {list(numbers.shape)}; evaluate it at the frames of the reporter"
            )
        check_finite(f"values of the observable '{name}'", numbers)
        observables[name] = Observable(numbers, units)
    return observables


def check_finite(what: str, values: np.ndarray) -> None:
    """Raise MHFFError unless all values `[n_frames, ...]` are finite."""
    wrong = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(wrong):
        raise MHFFError(
            f"expected finite {what}, but {len(wrong)} of {len(values)} frames have others, the "
            f"first is number {wrong[0]}; leave these frames out"
        )
