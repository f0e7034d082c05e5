"""Dispersion that LAMMPS adds to heads that contain it."""

from __future__ import annotations

import re

import pytest
import torch

from mhff.heads import Head, Heads
from mhff_lammps.dispersion import MODEL_OR_DISPERSION, adds_dispersion, counted_twice

HEADS = Heads(
    [
        Head(name="bare", dispersion=False),
        Head(name="with", dispersion=True),
        Head(name="unknown"),
    ]
)


class Lammps:
    """LAMMPS with the parts of a hybrid pair style, each with one neighbour list."""

    def __init__(self, *styles: str) -> None:
        self.styles = styles

    def find_pair_neighlist(self, pattern: str, exact: bool, nsub: int) -> int:
        """As in LAMMPS: the match of that number, or the only one; an error if there is none."""
        assert not exact
        found = [index for index, style in enumerate(self.styles) if re.search(pattern, style)]
        if len(found) >= nsub:
            return found[nsub - 1]
        assert len(found) == 1, "LAMMPS would report an error"
        return found[0]


@pytest.mark.parametrize(
    ("styles", "adds"),
    [
        (["mliap"], False),
        (["mliap/kk"], False),
        (["mliap", "dispersion/d3"], True),
        (["dispersion/d3", "mliap"], True),
        (["mliap/kk", "dispersion/d3"], True),
        (["mliap", "mliap"], False),
        (["mliap", "mliap", "zbl"], False),
        (["mliap", "dispersion/d3", "mliap"], True),
        (["lj/cut", "mliap", "zbl"], False),
        (["lj/cut", "mliap", "zbl", "dispersion/d3"], True),
    ],
)
def test_combinations(styles: list[str], adds: bool) -> None:
    assert adds_dispersion(Lammps(*styles)) == adds


def test_no_other_style_is_taken_for_dispersion() -> None:
    others = ["morse", "meam", "dpd", "dsmc", "mdpd", "dpd/fdt", "mm3/switch3", "mgpt", "momb"]
    assert not [style for style in others if re.search(MODEL_OR_DISPERSION, style)]


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ([[1.0, 0, 0], [0, 0, 1]], None),
        ([[1.0, 0, 0], [0, 1, 0]], "with"),
        ([[0.5, 0.5, 0]], "with"),
    ],
)
def test_heads_that_contain_it_are_named(weights: list[list[float]], named: str | None) -> None:
    sentences = counted_twice(HEADS, torch.tensor(weights, dtype=torch.float64))
    assert len(sentences) == (named is not None)
    assert all(f"head {named}," in sentence and "\n" not in sentence for sentence in sentences)
