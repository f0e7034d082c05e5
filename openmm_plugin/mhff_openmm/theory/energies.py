"""How the energy of a Context depends on the level of theory, from one evaluation of the model."""

from __future__ import annotations

import numpy as np
import openmm
from openmm import unit

from mhff_openmm.theory.contexts import force_named, forces_with


def head_energies(context: openmm.Context, name: str = "mhff") -> dict[str, unit.Quantity]:
    """Energy of each head alone at the Context's positions and box, kJ/mol, by head name.

    These are the energies of the atoms of the mhff force `name`, whatever the weights of its heads
    are now. Raises MHFFError, naming the forces that exist, if there is no such force.
    """
    force = force_named(context, name)
    energies = force.head_energies(context.getState(positions=True))
    heads = force.computation.parameters.heads
    return {
        head: energy * unit.kilojoule_per_mole
        for head, energy in zip(heads, energies.tolist(), strict=True)
    }


def energy_derivative(context: openmm.Context, parameter: str) -> unit.Quantity:
    """Derivative of the Context's energy with respect to `mhff_lambda` or a head's weight, kJ/mol.

    The energy is linear in the weights of the heads, so the derivative is a sum of head energies:
    E_B - E_A for lambda on the path from A to B. It is the contribution of mhff; forces of others
    that use a parameter of the same name are left out. A force inside a CustomCVForce counts as its
    energy function says. Raises MHFFError, naming the parameters that exist, for an unknown one.
    """
    forces = forces_with(context, parameter)
    state = context.getState(positions=True)
    total = 0.0
    for force in forces:
        weights = np.array(force.computation.parameters.derivatives(parameter))
        total += force.scale() * float(weights @ force.head_energies(state))
    return total * unit.kilojoule_per_mole
