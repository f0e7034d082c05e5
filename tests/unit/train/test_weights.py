"""Weights in the loss: of the head, its terms, the configuration type."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms

from mhff.data.reading import LabelledStructure
from mhff.data.weights import Weights
from mhff.errors import MHFFError
from mhff.train.sections.heads import HeadSettings
from mhff.train.sections.loss import LossSettings
from mhff.train.weights import check_config_types, weights_of

LOSS = LossSettings(energy=1.0, forces=10.0, stress=100.0)
SURFACE = LabelledStructure(Atoms("H2"), 0.0, config_type="surface")
LIQUID = LabelledStructure(Atoms("H2"), 0.0, config_type="liquid")


def head(**settings: Any) -> HeadSettings:
    return HeadSettings(files=(Path("a.xyz"),), **settings)


def test_the_sections_weights_by_default() -> None:
    assert weights_of(SURFACE, head(), LOSS) == (1, 10, 100)


def test_all_factors_multiply() -> None:
    own = head(weight=2.0, loss={"forces": 5.0, "stress": 0.0}, config_weights={"surface": 3.0})
    assert weights_of(SURFACE, own, LOSS) == (6, 30, 0)
    assert weights_of(LIQUID, own, LOSS) == (2, 10, 0)


def test_a_structures_own_factors() -> None:
    own = replace(LIQUID, weights=Weights(3.0, 1.0, 0.5))
    assert weights_of(own, head(weight=2.0), LOSS) == (6, 20, 100)


def test_a_configuration_type_that_no_structure_has() -> None:
    own = head(config_weights={"surface": 3.0, "sufrace": 2.0})
    with pytest.raises(
        MHFFError, match=r"config_weights names sufrace, but .*: there are liquid, surface$"
    ):
        check_config_types([SURFACE, LIQUID], own)
