"""Dispersion that `pair_style dispersion/d3` adds to heads whose training data contain it already.

LAMMPS does not list the parts of a hybrid pair style. It finds the neighbour list of one part by
the beginning of its name, and reports an error, in the middle of the run, if there is no such part.
So it is asked for the first two parts called mliap or dispersion, and of mliap there is always one.
"""

from __future__ import annotations

from typing import Any

import torch

from mhff.errors import listing
from mhff.heads import Heads

MODEL = "^mliap"
MODEL_OR_DISPERSION = "^[md][li][is][ap][pe]"
"""LAMMPS' regular expressions know no alternatives; no other style begins with such letters."""


def adds_dispersion(lammps: Any) -> bool:
    """Whether a hybrid pair style combines mhff with `dispersion/d3`.

    It is overlooked behind two other models, in `hybrid/overlay mliap ... mliap ... dispersion/d3`.
    """
    models = {_neighbour_list(lammps, MODEL, number) for number in (1, 2)}
    both = {_neighbour_list(lammps, MODEL_OR_DISPERSION, number) for number in (1, 2)}
    return not both <= models


def _neighbour_list(lammps: Any, pattern: str, number: int) -> int:
    """Neighbour list of the style that matches as the given number, or else of the only one."""
    found: int = lammps.find_pair_neighlist(pattern, exact=False, nsub=number)
    return found


def counted_twice(heads: Heads, weights: torch.Tensor) -> list[str]:
    """A sentence if heads that are used, with `weights [n, n_heads]`, contain dispersion."""
    names = heads.with_dispersion(weights)
    if not names:
        return []
    return [
        f"pair_style dispersion/d3 adds dispersion to head {listing(names)}, whose training data "
        "contain it already, so it is counted twice; remove dispersion/d3, or use another head"
    ]
