"""What a user reads about structures that are there twice."""

from __future__ import annotations

import re

from ase import Atoms

from mhff.data.duplicates import Occurrence, duplicates
from mhff.data.reading import LabelledStructure
from mhff.data.split import Part


def at(head: str, part: Part, place: str) -> Occurrence:
    return Occurrence(head, part, LabelledStructure(Atoms("H"), place=place))


def test_held_out_structures_that_are_trained_on() -> None:
    found = {
        1: [at("a", "train", "a1"), at("a", "test", "a9")],
        2: [at("b", "train", "b2"), at("a", "train", "a2"), at("a", "test", "a3")],
        3: [at("a", "train", "a4"), at("b", "valid", "b4")],
        4: [at("a", "test", "a5"), at("a", "test", "a6")],
        5: [at("a", "train", "a7"), at("b", "train", "b7")],
    }
    valid, test = duplicates(found.values())
    assert re.match(r"2 structures of the test set are also in the training set .*; ", test)
    assert test.endswith("a9 is a1, a3 is a2"), "the same head comes first"
    assert valid.endswith("b4 is a4"), "heads share their layers"


def test_structures_that_are_trained_on_twice() -> None:
    found = {key: [at("a", "train", f"{key}-{number}") for number in range(3)] for key in range(4)}
    (sentence,) = duplicates(found.values())
    assert sentence == (
        "head a: 8 training structures are there twice: 0-1 is 0-0, 0-2 is 0-0, 1-1 is 1-0, "
        "1-2 is 1-0, 2-1 is 2-0, and 3 more"
    )
