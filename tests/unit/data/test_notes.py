"""Labels that a file has but the model does not use are reported."""

from __future__ import annotations

from ase import Atoms

from mhff.data.keys import KeySetting
from mhff.data.notes import unread_labels, unused_state
from mhff.data.reading import LabelledStructure
from mhff.model.config import StateEmbedding

CHARGE = StateEmbedding(quantity="total_charge", kind="continuous", width=4)
STRUCTURES = [
    LabelledStructure(Atoms("H2", info=info), 0.0)
    for info in ({"charge": 1.0, "spin": 2.0}, {"charge": 0.0, "spin": 1.0}, {"charge": -1.0}, {})
]


def test_a_state_that_the_model_does_not_take() -> None:
    charge, spin = unused_state(STRUCTURES, [])
    assert charge.startswith("2 of 4 structures have a total charge other than 0, which this model")
    assert spin.startswith(
        "1 of 4 structures have a spin multiplicity other than 1, which this model"
    )
    assert unused_state(STRUCTURES, [CHARGE]) == [spin]
    assert unused_state(STRUCTURES[1:2], []) == []


def test_labels_that_are_not_read() -> None:
    structures = [LabelledStructure(Atoms("H2"), 0.0, unread=("mult",)), *STRUCTURES]
    (sentence,) = unread_labels(structures, KeySetting("--{}-key", "''"))
    assert sentence == (
        "1 of 5 structures have 'mult', which is not read; if it is the total charge or the spin "
        "multiplicity, name it with --charge-key or --spin-key"
    )
