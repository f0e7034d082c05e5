"""What must not change the energy: rotation, reflection, the order of the atoms, images."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from mhff_suite.errors import law
from mhff_suite.outcome import Outcome
from mhff_suite.physics.samples import crystals, molecules
from mhff_suite.potential import Prediction
from mhff_suite.protocol import PHYSICAL_LAW, Domain, Setting, Task

TOLERANCE = 1e-6
"""eV and eV/A: far above rounding in float64, far below what simulations resolve."""
N_SAMPLES = 3


def turned(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    """A structure rotated or reflected together with its cell."""
    changed = atoms.copy()
    changed.set_cell(atoms.cell[:] @ matrix.T)
    changed.positions = atoms.positions @ matrix.T
    return changed


def translated(atoms: Atoms) -> Atoms:
    """A structure moved as a whole; in a crystal each atom is an image in the cell."""
    changed = atoms.copy()
    changed.translate([3.7, -11.3, 5.1])
    if atoms.pbc.any():
        changed.wrap()
    return changed


def run(setting: Setting) -> Outcome:
    """The largest change of energies and forces, over molecules and crystals."""
    samples = [
        *molecules(setting.elements, N_SAMPLES),
        *crystals(setting.elements, N_SAMPLES),
    ]
    rotation = Rotation.from_rotvec([0.9, -0.4, 1.3]).as_matrix()
    orders = [np.random.default_rng(1).permutation(len(atoms)) for atoms in samples]
    evaluate = setting.potential.evaluate
    plain = evaluate(samples)
    rotated = evaluate([turned(atoms, rotation) for atoms in samples])
    reflected = evaluate([turned(atoms, -rotation) for atoms in samples])
    shifted = evaluate([translated(atoms) for atoms in samples])
    shuffled = evaluate([atoms[order] for atoms, order in zip(samples, orders, strict=True)])
    back = [
        Prediction(each.energy, each.forces[np.argsort(order)], None)
        for each, order in zip(shuffled, orders, strict=True)
    ]
    sentence = "the {} depends on {}"
    values = []
    for what, others, matrix in (
        ("orientation", rotated, rotation),
        ("handedness", reflected, -rotation),
        ("place in space", shifted, np.eye(3)),
        ("order of the atoms", back, np.eye(3)),
    ):
        energy = max(
            abs(first.energy - second.energy) for first, second in zip(plain, others, strict=True)
        )
        force = max(
            float(np.abs(first.forces @ matrix.T - second.forces).max())
            for first, second in zip(plain, others, strict=True)
        )
        values += [
            law(f"energy, {what}", energy, "eV", TOLERANCE, sentence.format("energy", what)),
            law(f"forces, {what}", force, "eV/A", TOLERANCE, sentence.format("force", what)),
        ]
    return Outcome(values=tuple(values))


TASK = Task(
    name="invariances",
    title="Rotation, reflection, translation, order of the atoms",
    domain=Domain.PHYSICS,
    reference=PHYSICAL_LAW,
    computes="The largest change of energies and of forces turned back, in float64.",
    run=run,
    cost=1.0,
)
