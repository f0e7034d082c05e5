"""An atom without neighbours, by the formulas written out with numpy."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from models import HEADS, random_model
from structures import ELEMENTS
from tolerances import ROUNDING, assert_close

from mhff import MHFFCalculator

SILU_MOMENT = 1.6791767923989418


def test_isolated_atom() -> None:
    """No messages: A = 0, so each layer hands on its skip term alone, and the readouts see that."""
    model = random_model("mp")
    weights = {name: value.double().numpy() for name, value in model.network.state_dict().items()}
    n_elements, channels = len(ELEMENTS), model.network.config.n_channels
    for z, element in enumerate(ELEMENTS):
        h = weights["node_embedding.weight"][z] / n_elements**0.5
        h = h @ weights["layers.0.interaction.skip.weights.0"][z] / (n_elements * channels) ** 0.5
        first = h @ weights["layers.0.readout.weight"] / channels**0.5
        h = h @ weights["layers.1.interaction.skip.weights.0"][z] / (n_elements * channels) ** 0.5
        hidden = h @ weights["layers.1.readout.weight_1"] / channels**0.5
        hidden = SILU_MOMENT * hidden / (1 + np.exp(-hidden))
        second = weights["layers.1.readout.weight_2"]
        last = (hidden.reshape(second.shape) * second).sum(1) / second.size**0.5
        references = model.network.reference_energies
        expected = (
            references.E0s[:, z].numpy()
            + references.scale.numpy() * (first + last)
            + references.shift.numpy()
        )

        calculator = MHFFCalculator(model, head="materials", form="eager")
        calculator.calculate(Atoms(element, positions=[[1, 2, 3]]))
        assert_close(
            [calculator.results["head_energies"][head] for head in HEADS], expected, ROUNDING
        )
        assert np.abs(first + last).min() > 1e-6


@pytest.mark.parametrize("name", ["plain", "density"])
def test_without_a_skip_term_in_the_first_layer_nothing_is_left(name: str) -> None:
    """No messages and no skip term: all features vanish, and E = E0 + shift."""
    model = random_model(name)
    references = model.network.reference_energies
    for z, element in enumerate(ELEMENTS):
        calculator = MHFFCalculator(model, head="materials", form="eager")
        calculator.calculate(Atoms(element, positions=[[1, 2, 3]]))
        expected = references.E0s[:, z] + references.shift
        assert_close(
            [calculator.results["head_energies"][head] for head in HEADS], expected, ROUNDING
        )


def test_an_isolated_atom_of_the_nonlinear_block() -> None:
    """With one layer, the residual goes through gate, product and readout.

    Neither alpha nor the radial networks matter.
    """
    model = random_model("one_layer")
    calculator = MHFFCalculator(model, head="materials", form="eager")
    weights = {name: value.double().numpy() for name, value in model.network.state_dict().items()}
    config, constants = model.network.config, model.network.constants
    channels, width = config.n_channels, config.edge_channels(0)
    monomials, basis = (
        constants["product.0.monomials"].numpy(),
        constants["product.0.basis"].numpy(),
    )
    for z, element in enumerate(ELEMENTS):
        h = weights["node_embedding.weight"][z] / len(ELEMENTS) ** 0.5
        up = h @ weights["layers.0.interaction.linear_up.weights.0"] / channels**0.5
        scalars = (up @ weights["layers.0.interaction.linear_res.weights.0"] / width**0.5)[
            :channels
        ]
        gated = SILU_MOMENT * scalars / (1 + np.exp(-scalars))
        a = gated @ weights["layers.0.interaction.linear_2.weights.0"] / channels**0.5
        factors = np.zeros(((config.l_max + 1) ** 2 + 1, channels))
        factors[0], factors[-1] = a, 1.0  # no feature but the scalar, and the constant one
        product = (basis @ weights["layers.0.product.weights"][0] * factors[monomials].prod(1)).sum(
            0
        )
        skip = h @ weights["layers.0.interaction.skip.weights.0"] / channels**0.5
        features = product @ weights["layers.0.product.linear.weights.0"] / channels**0.5 + skip
        readout = features @ weights["layers.0.readout.weight"] / channels**0.5
        references = model.network.reference_energies
        expected = (
            references.E0s[:, z].numpy()
            + references.scale.numpy() * readout
            + references.shift.numpy()
        )
        calculator.calculate(Atoms(element, positions=[[1, 2, 3]]))
        assert_close(
            [calculator.results["head_energies"][head] for head in HEADS], expected, ROUNDING
        )
        assert np.abs(readout).min() > 1e-6
