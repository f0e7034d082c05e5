"""E0s, shift, scale and elements against values computed by hand; batches against their structures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from labelled import write_data
from models import HEADS, random_model
from structures import ELEMENTS, rattled_bulk, triclinic
from tolerances import ROUNDING, assert_close

from mhff.calculator import MHFFCalculator
from mhff.data.batch import in_batches, join, predict, sample
from mhff.data.reading import LabelledStructure, read_structures
from mhff.data.statistics import (
    check_E0s,
    elements_of,
    energy_shift,
    force_scale,
    isolated_energies,
)
from mhff.errors import MHFFError
from mhff.evaluator import EagerEvaluator

WATER = LabelledStructure(
    Atoms("OH2", positions=[[0, 0, 0], [0, 0, 1], [0, 1, 0]]), -31.0, forces=np.full((3, 3), 2.0)
)
HYDROGEN = LabelledStructure(
    Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]]), -4.0, forces=np.full((2, 3), -1.0)
)
ATOM = LabelledStructure(Atoms("H"), -1.0, config_type="IsolatedAtom")
OXYGEN_ATOM = LabelledStructure(Atoms("O"), -20.0, config_type="IsolatedAtom")


def test_E0s_come_from_isolated_atoms() -> None:  # noqa: N802
    assert isolated_energies([WATER, ATOM, HYDROGEN, OXYGEN_ATOM]) == {"H": -1.0, "O": -20.0}


def test_two_isolated_atoms_that_disagree() -> None:
    other = LabelledStructure(Atoms("H"), -1.5, config_type="IsolatedAtom")
    with pytest.raises(
        MHFFError, match=r"two isolated H atoms have the energies -1.0 and -1.5 eV; keep one"
    ):
        isolated_energies([ATOM, other])


def test_an_element_without_isolated_atom() -> None:
    with pytest.raises(
        MHFFError, match="head 'molecules' has structures with O but reference energies only for H"
    ):
        check_E0s("molecules", {"H": -1.0}, ["H", "O"])


def test_shift_and_scale_by_hand() -> None:
    E0s = {"H": -1.0, "O": -20.0}
    # water: (-31 + 22) / 3 = -3; hydrogen: (-4 + 2) / 2 = -1
    assert energy_shift([WATER, HYDROGEN], E0s) == -2.0
    # 9 components of 2 and 6 of -1
    assert force_scale([WATER, HYDROGEN]) == pytest.approx(((9 * 4 + 6) / 15) ** 0.5, rel=1e-15)
    assert force_scale([LabelledStructure(Atoms("H2"), 0.0)]) == 1.0


def test_elements_leave_out_isolated_atoms() -> None:
    assert elements_of(
        [WATER, OXYGEN_ATOM, LabelledStructure(Atoms("Mg"), 0.0, config_type="IsolatedAtom")]
    ) == ("H", "O")


def test_a_batch_predicts_what_the_calculator_says() -> None:
    """Crystals and a molecule, with and without stress, each with its own head, side by side."""
    model = random_model()
    frames = [rattled_bulk(), WATER.atoms, triclinic(), rattled_bulk()]
    stresses = [np.eye(3), None, None, np.eye(3)]
    heads = [0, 2, 1, 1]
    samples = [
        sample(LabelledStructure(atoms, 0.0, stress=stress), ELEMENTS, model.r_max, head)
        for atoms, stress, head in zip(frames, stresses, heads, strict=True)
    ]
    prediction = predict(EagerEvaluator(model).evaluate, join(samples), len(HEADS))
    calculator, forces, stress = MHFFCalculator(model, head=HEADS[0]), [], []
    for place, (atoms, head) in enumerate(zip(frames, heads, strict=True)):
        calculator.set_head(HEADS[head])
        atoms.calc = calculator
        assert_close(prediction.energy[place], atoms.get_potential_energy(), ROUNDING)
        forces.append(atoms.get_forces())
        if stresses[place] is not None:
            stress.append(atoms.get_stress(voigt=False))
    assert_close(prediction.forces, np.concatenate(forces), ROUNDING)
    assert_close(prediction.stress, stress, ROUNDING)


def test_batches_hold_every_sample_once(tmp_path) -> None:  # type: ignore[no-untyped-def]
    structures = [
        item
        for item in read_structures(write_data(tmp_path, "loose", 5))
        if not item.is_isolated_atom
    ]
    batches = list(in_batches([sample(item, ("H", "O"), 3.0) for item in structures], 2))
    assert [batch.graph.n_structures for batch in batches] == [2, 2, 1]
    assert torch.equal(
        torch.cat([batch.energy for batch in batches]),
        torch.tensor([s.energy for s in structures], dtype=torch.float64),
    )
