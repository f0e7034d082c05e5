"""Labels of `pair_coeff` mean elements and heads."""

from __future__ import annotations

import torch
from manifests import HEADS

from mhff.heads import Head, Heads
from mhff_lammps.labels import Labels

ELEMENTS = ("H", "O")


def positions(labels: Labels, *names: str) -> torch.Tensor:
    return torch.tensor([labels.names.index(name) for name in names])


def test_labels_mean_species_and_heads() -> None:
    labels = Labels(ELEMENTS, HEADS, "gas")
    index = positions(labels, "O", "H@bulk", "O@gas")
    assert labels.species(index).tolist() == [1, 0, 1]
    assert labels.head_weights(index).tolist() == [[0, 1], [1, 0], [0, 1]]


def test_plain_elements_need_a_default_head() -> None:
    assert Labels(ELEMENTS, HEADS, None).names == ["H@bulk", "O@bulk", "H@gas", "O@gas"]
    only_head = Heads([Head(name="only")])
    assert Labels(ELEMENTS, only_head, None).names == ["H", "O", "H@only", "O@only"]


def test_warns_of_elements_a_head_was_not_trained_on() -> None:
    labels = Labels(ELEMENTS, HEADS, "gas")
    assert labels.warnings(positions(labels, "H@gas", "O@bulk")) == []
    (sentence,) = labels.warnings(positions(labels, "O"))
    assert sentence.startswith("head 'gas' was not trained on O")


def test_help_shows_how_to_write_labels() -> None:
    assert Labels(ELEMENTS, HEADS, "gas").help() == (
        "mhff: elements H O; heads bulk gas (default gas)\n"
        "mhff: one label per atom type, as in   "
        "pair_coeff * * H O   (default head)   or   H@bulk O@bulk"
    )
    assert Labels(ELEMENTS, HEADS, None).help().endswith("pair_coeff * * H@bulk O@bulk")
