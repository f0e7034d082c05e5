"""Predictions of a batch against the ASE calculator."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from models import HEADS, random_model
from structures import rattled_bulk, triclinic
from tolerances import ROUNDING, assert_close

from mhff.calculator import MHFFCalculator
from mhff.data.batch import join, sample
from mhff.data.reading import LabelledStructure
from mhff.evaluate.prediction import predict
from mhff.evaluator import EagerEvaluator

WATER = Atoms("OH2", positions=[[0, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_a_batch_predicts_what_the_calculator_says() -> None:
    """Crystals and a molecule, with and without stress, each with its own head, side by side."""
    model = random_model()
    frames = [rattled_bulk(), WATER.copy(), triclinic(), rattled_bulk()]
    stresses = [np.eye(3), None, None, np.eye(3)]
    heads = [0, 2, 1, 1]
    samples = [
        sample(LabelledStructure(atoms, 0.0, stress=stress), model.network.config, head)
        for atoms, stress, head in zip(frames, stresses, heads, strict=True)
    ]
    prediction = predict(EagerEvaluator(model).evaluate, join(samples), len(HEADS))
    calculator, forces, stress = MHFFCalculator(model, head=HEADS[0], form="eager"), [], []
    for place, (atoms, head) in enumerate(zip(frames, heads, strict=True)):
        calculator.set_head(HEADS[head])
        atoms.calc = calculator
        assert_close(prediction.energy[place], atoms.get_potential_energy(), ROUNDING)
        forces.append(atoms.get_forces())
        if stresses[place] is not None:
            stress.append(atoms.get_stress(voigt=False))
    assert_close(prediction.forces, np.concatenate(forces), ROUNDING)
    assert_close(prediction.stress, stress, ROUNDING)
