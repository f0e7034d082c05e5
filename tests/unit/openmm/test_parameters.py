"""Names of a force's parameters, and the weights that they give."""

from __future__ import annotations

import pytest

from mhff import MHFFError
from mhff.heads import Head, Heads
from mhff_openmm.parameters import Parameters, checked_path

HEADS = ("a", "b", "c")
PLAIN = Parameters("mhff", HEADS)
PATH = Parameters("mhff", HEADS, ("c", "a"))


def test_a_parameter_for_each_head() -> None:
    assert PLAIN.defaults([0.25, 0.0, 0.75]) == {
        "mhff_head_a": 0.25,
        "mhff_head_b": 0.0,
        "mhff_head_c": 0.75,
    }


def test_a_path_adds_one_that_starts_at_its_first_head() -> None:
    values = PATH.defaults([0.0] * 3)
    assert values == dict.fromkeys(["mhff_head_a", "mhff_head_b", "mhff_head_c", "mhff_lambda"], 0)
    assert PATH.weights(values) == (0.0, 0.0, 1.0)


def test_lambda_adds_to_the_weights_of_the_heads() -> None:
    values = {"mhff_head_a": 0.5, "mhff_head_b": -1.0, "mhff_head_c": 0.0, "other": 7.0}
    assert PLAIN.weights(values) == (0.5, -1.0, 0.0)
    assert PATH.weights(values | {"mhff_lambda": 0.25}) == (0.75, -1.0, 0.75)


def test_derivatives_of_the_weights() -> None:
    assert PATH.derivatives("mhff_lambda") == (1.0, 0.0, -1.0)
    assert PATH.derivatives("mhff_head_b") == (0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("ab", "expected the names of two heads as path, got 'ab'; write path=('a', 'c')"),
        (("a",), "expected the names of two heads as path, got ('a',); write path=('a', 'c')"),
        (("a", "d"), "unknown head 'd': this model has the heads a, b, c; choose one of them"),
        (
            ("b", "b"),
            "expected two different heads as path, got 'b' twice: this model has the heads a, b, "
            "c; choose another, or give head='b' and no path",
        ),
    ],
)
def test_paths_that_lead_nowhere_are_refused(path: object, sentence: str) -> None:
    with pytest.raises(MHFFError) as caught:
        checked_path(Heads([Head(name=name) for name in HEADS]), path)
    assert str(caught.value) == sentence
