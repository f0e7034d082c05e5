"""Relaxation of atoms to the nearest minimum, in a fixed cell."""

from __future__ import annotations

import os

import numpy as np
from ase import Atoms
from ase.optimize import LBFGS

from mhff_suite.potential import Potential

MAX_FORCE = 0.02
"""eV/A."""
MAX_STEPS = 300
MAX_MOVE = 0.1
"""Longest move of an atom in a step, A."""


def relaxed(potential: Potential, atoms: Atoms, max_steps: int = MAX_STEPS) -> Atoms | None:
    """A relaxed copy, with its calculator; None if there is no minimum within the steps."""
    moved = atoms.copy()
    moved.calc = potential.calculator()
    if not LBFGS(moved, logfile=os.devnull, maxstep=MAX_MOVE).run(fmax=MAX_FORCE, steps=max_steps):
        return None
    return moved if np.isfinite(moved.positions).all() else None


def settled(potential: Potential, atoms: Atoms, n_steps: int = 40) -> Atoms:
    """A copy after a few steps downhill, wherever they lead: a start for dynamics."""
    moved = atoms.copy()
    moved.calc = potential.calculator()
    LBFGS(moved, logfile=os.devnull, maxstep=MAX_MOVE).run(fmax=MAX_FORCE, steps=n_steps)
    moved.calc = None
    return moved
