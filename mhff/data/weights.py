"""Weights that structures bring along, under the names that mace-torch uses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mhff.errors import MHFFError

OF_ALL_TERMS = "config_weight"
OF_TERMS = ("config_energy_weight", "config_forces_weight", "config_stress_weight")


class Weights(NamedTuple):
    """Weights of energy, forces and stress."""

    energy: float = 1.0
    forces: float = 1.0
    stress: float = 1.0


def own_weights(values: Mapping[str, Any], place: str) -> Weights:
    """Factors of a structure's weights in the loss; 1 where `values` has none.

    Raises MHFFError for one that is not a number of at least 0.
    """
    common = _number(values, OF_ALL_TERMS, place)
    return Weights(*(common * _number(values, name, place) for name in OF_TERMS))


def _number(values: Mapping[str, Any], name: str, place: str) -> float:
    try:
        weight = float(values.get(name, 1.0))
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise MHFFError(
            f"expected a weight of at least 0 under '{name}' in {place}, got {values[name]!r}; "
            "correct the file"
        )
    return weight
