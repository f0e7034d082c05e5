"""Mixes of heads as users write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mhff.errors import MHFFError
from mhff.mixes import EXAMPLE, Mix, parse_mix

SENTENCE = (
    "^expected a mix as NAME=WEIGHT\\*HEAD\\+WEIGHT\\*HEAD, for example "
    "screened=0.7\\*materials\\+0.3\\*surfaces, got "
)


@pytest.mark.parametrize(
    ("text", "name", "weights"),
    [
        (EXAMPLE, "screened", {"materials": 0.7, "surfaces": 0.3}),
        (" half = 0.5 * a + 0.5 * b ", "half", {"a": 0.5, "b": 0.5}),
        ("x=1*a", "x", {"a": 1.0}),
        ("out-1.5=1.5*a+-.5*b", "out-1.5", {"a": 1.5, "b": -0.5}),
        ("x=1e-1*wB97M-D3+0.9*pbe+u", "x", {"wB97M-D3": 0.1, "pbe+u": 0.9}),
        ("x=0.5*pbe+u+0.5*a=b", "x", {"pbe+u": 0.5, "a=b": 0.5}),
    ],
)
def test_a_name_and_weights(text: str, name: str, weights: dict[str, float]) -> None:
    assert parse_mix(text) == Mix(name=name, weights=weights)


NOT_MIXES = "|x|x=|=1*a|x=a|x=1*|x=*a|x=b*a|x=1*a+*b|my mix=1*a|x@y=1*a|x=1e+3*a|$x=1*a|ü=1*a"


@pytest.mark.parametrize("text", NOT_MIXES.split("|"))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MHFFError, match=f"{SENTENCE}'"):
        parse_mix(text)


def test_a_head_is_named_once() -> None:
    with pytest.raises(MHFFError, match=r"^the mix 'x' names the head 'a' twice; add the two"):
        parse_mix("x=0.5*a+0.5*a")


WEIGHTS = st.dictionaries(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,9}", fullmatch=True),
    st.floats(-100, 100),
    min_size=1,
    max_size=4,
)


@given(weights=WEIGHTS)
def test_what_is_shown_can_be_typed(weights: dict[str, float]) -> None:
    mix = Mix(name="any", weights=weights)
    assert parse_mix(str(mix)) == mix


def test_a_mix_does_not_change() -> None:
    with pytest.raises(ValidationError):
        parse_mix(EXAMPLE).name = "other"  # type: ignore[misc]
