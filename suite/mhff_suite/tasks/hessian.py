"""Second derivatives: symmetric, and zero for a motion of the whole."""

from __future__ import annotations

import numpy as np

from mhff_suite.errors import law
from mhff_suite.outcome import Outcome
from mhff_suite.physics.hessian import hessian
from mhff_suite.physics.samples import crystals, molecules
from mhff_suite.protocol import PHYSICAL_LAW, Domain, Setting, Task

TOLERANCE = 1e-5
"""Relative to the largest second derivative."""
N_SAMPLES = 2
N_QUICK = 1


def asymmetry(matrix: np.ndarray) -> float:
    """Largest difference of the matrix and its transpose, relative to its largest element."""
    return float(np.abs(matrix - matrix.T).max() / np.abs(matrix).max())


def residual_force(matrix: np.ndarray) -> float:
    """Largest change of a force when all atoms move alike, relative to the largest element."""
    n = len(matrix) // 3
    sums = matrix.reshape(3 * n, n, 3).sum(1)
    return float(np.abs(sums).max() / np.abs(matrix).max())


def run(setting: Setting) -> Outcome:
    """The largest asymmetry, residual force and error of the exact ones, over all samples."""
    number = N_QUICK if setting.quick else N_SAMPLES
    samples = [*molecules(setting.elements, number), *crystals(setting.elements, number)]
    found = [hessian(setting.potential, atoms) for atoms in samples]
    exact = [setting.potential.exact_hessian(atoms) for atoms in samples]
    values = [
        law(
            "asymmetry",
            max(map(asymmetry, found)),
            "relative",
            TOLERANCE,
            "the second derivatives are not symmetric: forces are not those of an energy",
        ),
        law(
            "force after a translation",
            max(map(residual_force, found)),
            "relative",
            TOLERANCE,
            "a motion of the whole changes forces: acoustic phonons start above zero",
        ),
    ]
    off = [
        float(np.abs(own - numerical).max() / np.abs(numerical).max())
        for own, numerical in zip(exact, found, strict=True)
        if own is not None
    ]
    if off:
        sentence = "exact second derivatives are not those of the forces"
        values.append(law("exact against differences", max(off), "relative", TOLERANCE, sentence))
    return Outcome(values=tuple(values))


TASK = Task(
    name="hessian",
    title="Second derivatives",
    domain=Domain.PHYSICS,
    reference=PHYSICAL_LAW,
    computes="Second derivatives by five-point differences of forces, and exact ones, in float64.",
    run=run,
    cost=3.0,
)
