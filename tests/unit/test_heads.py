"""Heads: names, beginnings of names, mixes, and what they were trained on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mhff.errors import MHFFError
from mhff.heads import Head, Heads, OnceOnly
from mhff.mixes import parse_mix

HEADS = Heads(
    [
        Head(name="materials", elements=("O", "Mg")),
        Head(name="molecules"),
        Head(name="surfaces", elements=("C", "O")),
    ]
)


def test_a_sequence_of_heads() -> None:
    assert len(HEADS) == 3
    assert HEADS.names == ("materials", "molecules", "surfaces")
    assert [head.name for head in HEADS] == list(HEADS.names)
    assert HEADS[1].level_of_theory == "unknown"
    assert repr(HEADS) == "Heads(materials, molecules, surfaces)"


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a", "b", "a"]])
def test_names_are_unique(names: list[str]) -> None:
    with pytest.raises(MHFFError, match=r"expected at least one head and no name twice, got "):
        Heads([Head(name=name) for name in names])


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        ([1.0, 0, 0], []),
        ([0, 1.0, 0], ["d3"]),
        ([0.5, 0.5, 0], ["d3"]),
        ([[1.0, 0, 0], [0, 0, 1.0]], ["vv10"]),
    ],
)
def test_heads_in_use_that_contain_dispersion(weights: list[Any], names: list[str]) -> None:
    heads = Heads(
        [
            Head(name="bare", dispersion=False),
            Head(name="d3", dispersion=True),
            Head(name="vv10", dispersion=True),
        ]
    )
    assert heads.with_dispersion(torch.tensor(weights)) == names
    assert HEADS.with_dispersion(torch.ones(3)) == [], "unknown is not yes"


def test_unknown_head_names_those_that_exist() -> None:
    sentence = (
        "unknown head 'Surfaces': this model has the heads materials, molecules, surfaces; "
        "choose one of them"
    )
    for resolve in (HEADS.index, HEADS.row, HEADS.complete):
        with pytest.raises(MHFFError, match=f"^{sentence}$"):
            resolve("Surfaces")


@pytest.mark.parametrize(
    ("beginning", "name"),
    [("s", "surfaces"), ("mat", "materials"), ("mo", "molecules"), ("materials", "materials")],
)
def test_complete(beginning: str, name: str) -> None:
    assert HEADS.complete(beginning) == name


def test_complete_prefers_the_whole_name() -> None:
    assert Heads([Head(name="pbe"), Head(name="pbe_d3")]).complete("pbe") == "pbe"


def test_complete_refuses_ambiguity() -> None:
    with pytest.raises(
        MHFFError,
        match=r"^head 'm' is ambiguous: it could be any of materials, molecules; give more "
        "letters$",
    ):
        HEADS.complete("m")


def test_complete_refuses_nothing() -> None:
    with pytest.raises(MHFFError, match=r"unknown head ''"):
        HEADS.complete("")


def test_only_whole_names_select() -> None:
    with pytest.raises(MHFFError, match=r"unknown head 'surf'"):
        HEADS.row("surf")


def test_row_of_a_name() -> None:
    assert HEADS.row("molecules").tolist() == [0, 1, 0]
    assert HEADS.row("molecules").dtype == torch.float64


def test_row_of_a_mix() -> None:
    assert HEADS.row({"surfaces": 0.25, "materials": 0.75}).tolist() == [0.75, 0, 0.25]
    assert HEADS.row({"surfaces": 1.5, "materials": -0.5}).tolist() == [-0.5, 0, 1.5]


@pytest.mark.parametrize(
    "mix", [{}, {"surfaces": 0.5}, {"surfaces": 0.5, "materials": 0.6}, {"surfaces": float("nan")}]
)
def test_a_mix_must_sum_to_one(mix: dict[str, float]) -> None:
    with pytest.raises(MHFFError, match=r"^the weights of a head mix must sum to 1, got "):
        HEADS.row(mix)


def test_unknown_head_in_a_mix() -> None:
    with pytest.raises(MHFFError, match=r"unknown head 'bulk'"):
        HEADS.row({"surfaces": 0.5, "bulk": 0.5})


def test_no_head_is_a_choice_only_if_there_is_one() -> None:
    assert Heads([Head(name="only")]).row(None).tolist() == [1]
    with pytest.raises(
        MHFFError,
        match=r"^no head given: this model has the heads materials, molecules, surfaces; ",
    ):
        HEADS.row(None)


@pytest.mark.parametrize(
    ("mixes", "sentence"),
    [
        (["surfaces=1*materials"], "the name 'surfaces' of a mix is taken: there are materials,"),
        (["a=1*materials", "a=1*surfaces"], "the name 'a' of a mix is taken: there are .*, a;"),
        (["a=1*bulk"], "unknown head 'bulk'"),
        (["a=0.5*materials"], "the weights of a head mix must sum to 1, got "),
        (["a=0.5*materials+0.5*b", "b=1*surfaces"], "unknown head 'b'"),
    ],
)
def test_mixes_have_names_of_their_own_and_weights_of_heads(
    mixes: list[str], sentence: str
) -> None:
    HEADS.check_mixes([parse_mix("a=0.5*materials+0.5*surfaces"), parse_mix("b=1*surfaces")])
    with pytest.raises(MHFFError, match=f"^{sentence}"):
        HEADS.check_mixes([parse_mix(mix) for mix in mixes])


def rows(*names: str) -> torch.Tensor:
    return torch.stack([HEADS.row(name) for name in names])


def test_a_sentence_for_each_head_that_extrapolates() -> None:
    symbols = ["Mg", "C", "H", "O"]
    sentence = (
        "head 'surfaces' was not trained on {}; its predictions for these elements are "
        "extrapolations"
    )
    assert HEADS.extrapolations(HEADS.row("surfaces"), symbols) == [sentence.format("H, Mg")]
    assert HEADS.extrapolations(HEADS.row("molecules"), symbols) == [], "no record, no judgement"
    per_atom = rows("materials", "surfaces", "molecules", "materials")
    assert HEADS.extrapolations(per_atom, symbols) == []
    per_atom = rows("surfaces", "materials", "materials", "surfaces")
    assert HEADS.extrapolations(per_atom, symbols) == [
        sentence.format("C, H").replace("surfaces", "materials"),
        sentence.format("Mg"),
    ]


def weights_that_sum_to_one(parts: list[int]) -> dict[str, float]:
    """A mix of the first heads, its weights multiples of 1/64, so that their sum is exact."""
    numbers = [part / 64 for part in parts]
    return dict(zip(HEADS.names, [*numbers, 1 - sum(numbers)], strict=True))


MIXES = st.lists(st.integers(-640, 640), min_size=2, max_size=2).map(weights_that_sum_to_one)


@given(mix=MIXES, order=st.permutations(HEADS.names))
def test_a_mix_gives_each_head_its_weight_in_any_order(
    mix: dict[str, float], order: list[str]
) -> None:
    row = HEADS.row({name: mix[name] for name in order})
    assert row.tolist() == [mix[name] for name in HEADS.names]
    assert float(row.sum()) == 1.0


@given(mix=MIXES, error=st.floats(1e-8, 1e6), sign=st.sampled_from([-1, 1]))
def test_a_mix_that_does_not_sum_to_one_is_refused(
    mix: dict[str, float], error: float, sign: int
) -> None:
    mix["surfaces"] += sign * error
    with pytest.raises(MHFFError, match=r"^the weights of a head mix must sum to 1, got "):
        HEADS.row(mix)


@pytest.mark.parametrize("spec", [3, b"surfaces", ["surfaces"], 0.5])
def test_wrong_types_are_one_sentence(spec: object) -> None:
    with pytest.raises(
        MHFFError,
        match=r"^expected a head's name, or weights by name, got .*; this model has the heads "
        "materials, molecules, surfaces$",
    ):
        HEADS.row(spec)  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", ["1", b"1", None, [1]])
def test_weights_are_numbers(weight: object) -> None:
    with pytest.raises(
        MHFFError, match=r"^expected a number as the weight of head 'surfaces', got .*; give one$"
    ):
        HEADS.row({"surfaces": weight})  # type: ignore[dict-item]


def test_sentences_are_passed_on_once() -> None:
    once = OnceOnly()
    assert once.new(["a", "b"]) == ["a", "b"]
    assert once.new(["b", "c"]) == ["c"]
