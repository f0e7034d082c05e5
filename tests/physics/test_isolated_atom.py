"""An atom without neighbours, by the formulas of the residual architecture written out with numpy."""

from __future__ import annotations

import numpy as np
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
        expected = references.E0s[:, z].numpy() + references.scale.numpy() * (first + last) + references.shift.numpy()

        calculator = MHFFCalculator(model, head="materials")
        calculator.calculate(Atoms(element, positions=[[1, 2, 3]]))
        assert_close([calculator.results["head_energies"][head] for head in HEADS], expected, ROUNDING)
        assert np.abs(first + last).min() > 1e-6
