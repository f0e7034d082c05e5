"""Forces and stress of imported models are derivatives of their energies.

These are the references where mace-torch has none: it drops the derivative of Chebyshev
polynomials, and divides the strain derivative of a slab by a volume of its own.
"""

from __future__ import annotations

import numpy as np
import pytest
from ase.stress import voigt_6_to_full_3x3_stress
from cases import CASES
from compare import imported
from differences import derivative
from geometries import geometry
from tolerances import FINITE_DIFFERENCES, assert_close

from mhff import MHFFCalculator


@pytest.mark.parametrize("structure", ["triclinic", "slab"])
@pytest.mark.parametrize("case", CASES)
def test_forces_and_stress(case: str, structure: str) -> None:
    model, options = imported(case), CASES[case].options
    atoms = geometry(structure, options["elements"], options["r_max"], seed=3)
    atoms.calc = MHFFCalculator(model, head=model.heads.names[-1], form="eager")
    generator = np.random.default_rng(4)
    displacement, strain = (
        generator.normal(size=atoms.positions.shape),
        generator.normal(size=(3, 3)),
    )
    strain = 0.05 * (
        strain + strain.T
    )  # so small that no edge crosses the cutoff, where derivatives of high order jump
    positions, cell = atoms.positions.copy(), atoms.cell[:].copy()
    forces, stress = atoms.get_forces(), voigt_6_to_full_3x3_stress(atoms.get_stress())

    def displaced(step: float) -> float:
        atoms.positions = positions + step * displacement
        return atoms.get_potential_energy()

    def strained(step: float) -> float:
        deformation = np.eye(3) + step * strain
        atoms.set_cell(cell @ deformation)
        atoms.positions = positions @ deformation
        return atoms.get_potential_energy()

    assert np.abs(forces).max() > 1e-2
    assert_close((forces * displacement).sum(), -derivative(displaced), FINITE_DIFFERENCES)
    assert_close(
        (stress * strain).sum() * atoms.get_volume(), derivative(strained), FINITE_DIFFERENCES
    )
