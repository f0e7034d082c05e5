"""Labels of `pair_coeff` mean elements and heads."""

from __future__ import annotations

from typing import Any

import torch
from manifests import manifest

from mhff.heads import Head, Heads
from mhff.mixes import parse_mix
from mhff_lammps.labels import Labels

SOFT = parse_mix("soft=0.25*bulk+0.75*gas")


def labels_of(default_head: str | None, **changes: Any) -> Labels:
    """Labels of a program for H and O with the heads bulk and gas, with changes."""
    able = {"default_head": default_head} | changes
    return Labels(manifest(capabilities=able).capabilities)


def positions(labels: Labels, *names: str) -> torch.Tensor:
    return torch.tensor([labels.names.index(name) for name in names])


def test_labels_mean_species_and_heads() -> None:
    labels = labels_of("gas")
    index = positions(labels, "O", "H@bulk", "O@gas")
    assert labels.species(index).tolist() == [1, 0, 1]
    assert labels.head_weights(index).tolist() == [[0, 1], [1, 0], [0, 1]]


def test_plain_elements_need_a_default_head() -> None:
    assert labels_of(None).names == ["H@bulk", "O@bulk", "H@gas", "O@gas"]
    only_head = Heads([Head(name="only")])
    assert labels_of(None, heads=only_head).names == ["H", "O", "H@only", "O@only"]


def test_mixes_are_labels() -> None:
    labels = labels_of("soft", mixes=(SOFT,))
    index = positions(labels, "O", "H@soft", "O@gas")
    assert labels.species(index).tolist() == [1, 0, 1]
    assert labels.head_weights(index).tolist() == [[0.25, 0.75], [0.25, 0.75], [0, 1]]
    (sentence,) = labels.warnings(index)
    assert sentence.startswith("head 'gas' was not trained on O")


def test_warns_of_elements_a_head_was_not_trained_on() -> None:
    labels = labels_of("gas")
    assert labels.warnings(positions(labels, "H@gas", "O@bulk")) == []
    (sentence,) = labels.warnings(positions(labels, "O"))
    assert sentence.startswith("head 'gas' was not trained on O")


def test_help_shows_how_to_write_labels() -> None:
    assert labels_of("gas").help() == (
        "mhff: elements H O; heads bulk gas (default gas)\n"
        "mhff: one label per atom type, as in   "
        "pair_coeff * * H O   (default head)   or   H@bulk O@bulk\n"
        "mhff: energies of heads, as in   fix ID all property/atom d_mhff_bulk d_mhff_gas"
    )
    assert "pair_coeff * * H@bulk O@bulk\n" in labels_of(None).help()
    with_mix = labels_of(None, mixes=(SOFT,)).help()
    assert "; heads bulk gas; mixes soft=0.25*bulk+0.75*gas\n" in with_mix
    assert with_mix.endswith("d_mhff_bulk d_mhff_gas d_mhff_soft")
