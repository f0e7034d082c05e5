"""Heads and mixes of a program, by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from manifests import manifest
from pydantic import ValidationError

from mhff.capabilities import Capabilities
from mhff.errors import MHFFError
from mhff.mixes import parse_mix

SOFT = parse_mix("soft=0.25*bulk+0.75*gas")


def program(**changes: Any) -> Capabilities:
    """Capabilities with the heads bulk and gas, and a mix."""
    return manifest(capabilities={"mixes": (SOFT,)} | changes).capabilities


def test_heads_and_mixes_have_rows() -> None:
    able = program()
    assert able.head_names == ("bulk", "gas", "soft")
    assert able.head_row("bulk").tolist() == [1.0, 0.0]
    assert able.head_row("soft").tolist() == [0.25, 0.75]
    assert able.head_row({"bulk": 0.5, "gas": 0.5}).tolist() == [0.5, 0.5]
    assert able.head_row(None).tolist() == [0.0, 1.0]


def test_a_mix_may_be_the_default() -> None:
    assert program(default_head="soft").head_row(None).tolist() == [0.25, 0.75]


def test_the_beginning_of_a_heads_name_is_enough() -> None:
    able = program()
    assert [able.complete(name) for name in ("b", "gas", "soft")] == ["bulk", "gas", "soft"]
    with pytest.raises(MHFFError, match=r"^unknown head 'so'"):
        able.complete("so")


def test_a_row_per_atom() -> None:
    found = program().head_rows(["soft", "gas", "soft"])
    assert found.tolist() == [[0.25, 0.75], [0.0, 1.0], [0.25, 0.75]]
    assert found.dtype == torch.float64
    assert program().head_rows([]).shape == (0, 2)


@pytest.mark.parametrize("mixes", [(), (SOFT,)])
def test_unknown_names_are_refused_with_those_that_exist(mixes: tuple[Any, ...]) -> None:
    exist = "program has the heads bulk, gas and the mixes soft=0.25" if mixes else "model has the"
    for find in (lambda able: able.head_row("x"), lambda able: able.head_rows(["gas", "x"])):
        with pytest.raises(MHFFError, match=f"^unknown head 'x': this {exist}"):
            find(program(mixes=mixes))


@pytest.mark.parametrize("mix", ["gas=1*bulk", "a=1*x", "a=0.5*gas"])
def test_mixes_that_cannot_be_are_refused(mix: str) -> None:
    with pytest.raises(ValidationError):
        program(mixes=(parse_mix(mix),))


def test_mixes_are_written_and_read_back() -> None:
    able = program()
    assert Capabilities.model_validate_json(able.model_dump_json()) == able
