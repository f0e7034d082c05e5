"""Filters and suspicious labels: which structures are used, and what the user reads about them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from mhff.data.reading import LabelledStructure
from mhff.errors import MHFFError
from mhff.train.selection import judge, select
from mhff.train.settings import Settings

E0S = {"H": -1.0, "O": -20.0}
WATER = LabelledStructure(
    Atoms("OH2", positions=[[0, 0, 0], [0, 0, 1], [0, 1, 0]]), -30.0, np.full((3, 3), 2.0)
)
HYDROGEN = LabelledStructure(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]]), -4.0)
OXYGEN_ATOM = LabelledStructure(Atoms("O"), -20.0, np.full((1, 3), 9.0), config_type="IsolatedAtom")
ALL = [WATER, HYDROGEN, OXYGEN_ATOM]
WRONG = replace(HYDROGEN, energy=-400.0, place="structure 7 of 'a.xyz'")


def settings(suspicious: str = "keep", **filter_settings: object) -> Settings:
    head = {"files": ["a.xyz"], "filter": filter_settings}
    return Settings.model_validate({"heads": {"a": head}, "data": {"suspicious": suspicious}})


@pytest.mark.parametrize(
    ("filter_settings", "kept"),
    [
        ({}, ALL),
        ({"elements": ["H"]}, [HYDROGEN, OXYGEN_ATOM]),
        ({"max_atoms": 2}, [HYDROGEN, OXYGEN_ATOM]),
        ({"max_force": 3.4}, [HYDROGEN, OXYGEN_ATOM]),  # the forces on water are 3.46 eV/A
        ({"max_force": 3.5}, ALL),
        ({"elements": ["H", "O"], "max_atoms": 3}, ALL),
    ],
)
def test_filters(filter_settings: dict[str, object], kept: list[LabelledStructure]) -> None:
    chosen = settings(**filter_settings)
    found, notes = select(ALL, chosen.heads["a"], chosen.data)
    assert [item.energy for item in found] == [item.energy for item in kept]
    count = len(ALL) - len(kept)
    assert notes == ([f"the filter leaves out {count} structures"] if count else [])


NOT_FINITE = replace(
    WATER, energy=np.nan, not_finite=("REF_energy",), place="structure 8 of 'a.xyz'"
)
NAMED = "structure 8 of 'a.xyz' (NaN or infinity in REF_energy)"


def test_labels_that_are_not_finite_are_left_out_only_when_asked() -> None:
    chosen = settings()
    sentence = f"1 structures have NaN or infinity: {NAMED}; data.suspicious: leave_out leaves"
    with pytest.raises(MHFFError, match=re.escape(sentence)):
        select([*ALL, NOT_FINITE], chosen.heads["a"], chosen.data)
    chosen = settings("leave_out")
    assert select([*ALL, NOT_FINITE], chosen.heads["a"], chosen.data) == (
        ALL,
        [f"1 structures are left out: {NAMED}"],
    )


def test_structures_without_labels_are_left_out() -> None:
    chosen = settings()
    structures = [LabelledStructure(Atoms("H2")), *ALL, LabelledStructure(Atoms("O2"))]
    assert select(structures, chosen.heads["a"], chosen.data) == (
        ALL,
        ["2 structures without any label are left out"],
    )


def test_suspicious_structures_are_left_out_only_when_asked() -> None:
    structures = [*ALL, WRONG]
    used, notes = judge(structures, E0S, settings())
    assert used == structures
    assert notes == [
        "structure 7 of 'a.xyz': energy -199.0 eV/atom from the sum of the E0s",
        "1 suspicious structures are used; data.suspicious: leave_out leaves them out",
    ]
    used, notes = judge(structures, E0S, settings("leave_out"))
    assert used == ALL
    assert notes[-1] == "1 suspicious structures are left out"


def test_long_lists_are_cut_short() -> None:
    _, notes = judge([WRONG] * 25, E0S, settings())
    assert len(notes) == 22
    assert notes[20] == "and 5 more suspicious labels"


def test_right_labels_are_not_mentioned() -> None:
    assert judge(ALL, E0S, settings()) == (ALL, [])
